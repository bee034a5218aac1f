-- pending -> in_progress -> completed | failed | expired | cancelled
CREATE TABLE videos (
  id           text PRIMARY KEY,
  user_id      text NOT NULL REFERENCES users,
  project_id   text REFERENCES projects,
  api_key_id   text NOT NULL REFERENCES api_keys,
  key_rules    jsonb NOT NULL,
  model        text NOT NULL,
  asked_model  text NOT NULL,
  -- What the provider is asked; forgotten at the end.
  request      jsonb,
  metadata     jsonb,
  held_nanos   bigint NOT NULL,
  status       text NOT NULL,
  -- Who makes it, and under which handle: {"upstream", "model", "job_id", "generation_id"}. Stored before anything else is done.
  provider     jsonb,
  -- Polls in a row at which the provider did not know its own job.
  polls_missed integer NOT NULL DEFAULT 0,
  error        text,
  -- The outcome in our object store: {"key", "size_bytes", "etag", "content_type"}.
  content      jsonb,
  cost_nanos   bigint,
  created_at   timestamptz NOT NULL DEFAULT now(),
  ended_at     timestamptz
);
CREATE INDEX videos_by_owner ON videos (user_id, id);
CREATE INDEX videos_with_content ON videos (ended_at) WHERE content IS NOT NULL;
