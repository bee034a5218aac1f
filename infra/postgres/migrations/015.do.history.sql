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

-- Written with the call's own record. Not partitioned: each row has a time of its own at which it goes.
CREATE TABLE request_contents (
  request_id uuid PRIMARY KEY,
  user_id    text NOT NULL,
  project_id text,
  -- json, not jsonb: it holds any text that a request can, NUL and lone surrogates too.
  request    json NOT NULL,
  reply      text NOT NULL,
  -- Whether the request was changed so: then it is not what was asked.
  redacted   boolean NOT NULL,
  truncated  boolean NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
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

CREATE INDEX inference_requests_replays ON inference_requests (user_id, replay_of) WHERE replay_of IS NOT NULL;

-- Tokens of calls that cost no credit, so that a bill's free and billable quantities need no rows.
ALTER TABLE usage_hourly ADD COLUMN free_tokens bigint NOT NULL DEFAULT 0;
UPDATE usage_hourly u SET free_tokens = c.free_tokens
FROM (SELECT user_id, coalesce(project_id, '') AS project_id, date_trunc('hour', created_at, 'UTC') AS hour, api_key_id,
        surface, model, sum(tokens_in + tokens_out) AS free_tokens
      FROM inference_requests WHERE cost_nanos = 0 GROUP BY 1, 2, 3, 4, 5, 6) c
WHERE u.user_id = c.user_id AND u.project_id = c.project_id AND u.hour = c.hour AND u.api_key_id = c.api_key_id
  AND u.surface = c.surface AND u.model = c.model;
