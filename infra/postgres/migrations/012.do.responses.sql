-- in_progress -> completed | incomplete | failed. A response that is streamed is here from its start, and touched while it
-- runs; one that is answered whole comes when it has ended.
CREATE TABLE responses (
  id                   text PRIMARY KEY,
  user_id              text NOT NULL REFERENCES users,
  project_id           text REFERENCES projects,
  api_key_id           text NOT NULL REFERENCES api_keys,
  model                text NOT NULL,
  status               text NOT NULL,
  previous_response_id text,
  -- What the reply repeats of the request: instructions, metadata, service_tier.
  settings             jsonb NOT NULL,
  input                jsonb NOT NULL,
  output               jsonb NOT NULL,
  usage                jsonb,
  error                jsonb,
  incomplete_reason    text,
  created_at           timestamptz NOT NULL,
  touched_at           timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX responses_by_owner ON responses (user_id, id);
CREATE INDEX responses_unfinished ON responses (touched_at) WHERE status = 'in_progress';
CREATE INDEX responses_by_time ON responses (created_at);
