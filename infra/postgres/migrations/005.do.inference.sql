-- Users' own keys at model providers. A key is sealed to its owner and the credential's id (infra/crypto); it is never
-- kept for another address than it was given for. The revision counts keys and addresses: what a test found out is of one.
CREATE TABLE provider_credentials (
  id             text PRIMARY KEY,
  user_id        text NOT NULL REFERENCES users,
  project_id     text REFERENCES projects,
  provider       text NOT NULL CHECK (provider IN ('openai', 'anthropic', 'deepseek')),
  label          text NOT NULL,
  base_url       text,
  secrets_key_id text,
  sealed_key     bytea,
  masked_key     text NOT NULL,
  revision       integer NOT NULL DEFAULT 1,
  enabled        boolean NOT NULL DEFAULT true,
  health         text NOT NULL DEFAULT 'untested' CHECK (health IN ('untested', 'healthy', 'error')),
  last_error     text,
  last_tested_at timestamptz,
  last_used_at   timestamptz,
  created_at     timestamptz NOT NULL DEFAULT now(),
  CHECK ((sealed_key IS NULL) = (secrets_key_id IS NULL))
);
CREATE INDEX provider_credentials_by_user ON provider_credentials (user_id, id);

-- What is kept of a project's requests and replies; nothing where there is no row.
CREATE TABLE inference_policies (
  project_id            text PRIMARY KEY REFERENCES projects,
  mode                  text NOT NULL CHECK (mode IN ('off', 'sampled', 'all')),
  sample_rate           double precision NOT NULL CHECK (sample_rate BETWEEN 0 AND 1),
  max_chars_per_message integer NOT NULL CHECK (max_chars_per_message > 0),
  redact                boolean NOT NULL,
  redaction_rule_id     text,
  retention_days        integer NOT NULL CHECK (retention_days > 0),
  updated_at            timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE inference_requests (
  id                 uuid PRIMARY KEY,
  user_id            text NOT NULL,
  project_id         text,
  api_key_id         text NOT NULL,
  surface            text NOT NULL,
  resource_id        text,
  model              text NOT NULL,
  upstream           text,
  upstream_model     text,
  status             text NOT NULL CHECK (status IN ('completed', 'failed', 'canceled')),
  error_code         text,
  streamed           boolean NOT NULL,
  tokens_in          integer NOT NULL,
  tokens_out         integer NOT NULL,
  cached_tokens      integer,
  reasoning_tokens   integer,
  usage_source       text NOT NULL CHECK (usage_source IN ('upstream', 'counted', 'none')),
  cost_nanos         bigint NOT NULL,
  provider_billed    boolean NOT NULL,
  fallback_count     integer NOT NULL,
  duration_ms        integer NOT NULL,
  first_token_ms     integer,
  created_at         timestamptz NOT NULL,
  -- What a call was asked as and what it is linked to, for history, replay and the routes that were taken.
  requested_model    text,
  -- The client's own metadata of the request, as it was given.
  metadata           jsonb,
  replay_of          uuid,
  -- The caller's own provider credential that paid for the call.
  credential_id      text,
  cache_hit          boolean NOT NULL DEFAULT false,
  -- Input that was written to the provider's cache, which has a price of its own; part of tokens_in.
  cache_write_tokens integer
) PARTITION BY RANGE (id);
CREATE INDEX inference_requests_by_user ON inference_requests (user_id, id);
-- Edges of a totals window are counted from rows by time.
CREATE INDEX inference_requests_by_time ON inference_requests (user_id, created_at);
CREATE INDEX inference_requests_replays ON inference_requests (user_id, replay_of) WHERE replay_of IS NOT NULL;
-- A page of calls of one model, or of one session, is read without the owner's other calls.
CREATE INDEX inference_requests_by_model ON inference_requests (user_id, model, id);
CREATE INDEX inference_requests_by_session ON inference_requests (user_id, (metadata->>'session_id'), id)
  WHERE metadata->>'session_id' IS NOT NULL;

-- Calls of API processes that have been under way for over a second, as their processes last told (domain/inference/calls/
-- open-calls.ts). `call` is what would be recorded of each if its process were lost now: it is, when it is.
CREATE TABLE open_calls (
  id               uuid PRIMARY KEY,
  process_id       text NOT NULL REFERENCES api_processes,
  user_id          text NOT NULL REFERENCES users,
  project_id       text,
  started_at       timestamptz NOT NULL,
  worst_case_nanos bigint NOT NULL,
  call             json NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX open_calls_by_process ON open_calls (process_id);
CREATE INDEX open_calls_by_user ON open_calls (user_id);

-- Written with the call's own record. Not partitioned: each row has a time of its own at which it goes.
CREATE TABLE request_contents (
  request_id   uuid PRIMARY KEY,
  user_id      text NOT NULL,
  project_id   text,
  -- json, not jsonb: it holds any text that a request can, NUL and lone surrogates too.
  request      json NOT NULL,
  reply        text NOT NULL,
  -- Whether the request was changed so: then it is not what was asked.
  redacted     boolean NOT NULL,
  truncated    boolean NOT NULL,
  created_at   timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  stored_bytes bigint GENERATED ALWAYS AS (octet_length(request::text) + octet_length(reply)) STORED
);
CREATE INDEX request_contents_by_expiry ON request_contents (expires_at);
-- For a policy that was shortened since.
CREATE INDEX request_contents_by_project ON request_contents (project_id, created_at);

CREATE TABLE request_feedback (
  request_id uuid NOT NULL,
  api_key_id text NOT NULL,
  user_id    text NOT NULL,
  project_id text,
  rating     smallint CHECK (rating BETWEEN -1 AND 1),
  outcome    text,
  task_type  text,
  notes      text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (request_id, api_key_id)
);

-- Replies that calls with cache_mode `aggressive` share within their project. Losing them in a crash costs nothing.
CREATE UNLOGGED TABLE reply_cache (
  user_id        text NOT NULL,
  project_id     text NOT NULL, -- '' where there is none
  request_sha256 bytea NOT NULL,
  reply          jsonb NOT NULL,
  expires_at     timestamptz NOT NULL,
  -- What an account's cached replies may have together is bounded where they are kept.
  bytes          integer GENERATED ALWAYS AS (octet_length(reply::text)) STORED,
  PRIMARY KEY (user_id, project_id, request_sha256)
);
CREATE INDEX reply_cache_expired ON reply_cache (expires_at);
CREATE INDEX reply_cache_by_age ON reply_cache (user_id, expires_at DESC);

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
  touched_at           timestamptz NOT NULL DEFAULT now(),
  -- A background response is 'queued' here until its turn ends.
  background           boolean NOT NULL DEFAULT false,
  -- What loading a response takes, so that a chain of them is measured before any of it is loaded.
  content_bytes        bigint NOT NULL DEFAULT 0,
  stored_bytes         bigint GENERATED ALWAYS AS
    (octet_length(input::text) + octet_length(output::text) + octet_length(settings::text)) STORED
);
CREATE INDEX responses_by_owner ON responses (user_id, id);
CREATE INDEX responses_unfinished ON responses (touched_at) WHERE status = 'in_progress';
CREATE INDEX responses_by_time ON responses (created_at);
