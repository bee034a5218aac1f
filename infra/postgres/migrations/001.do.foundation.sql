-- Tenancy -------------------------------------------------------------------------------------------------------------

CREATE TABLE users (
  id          text PRIMARY KEY,
  name        text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  disabled_at timestamptz
);

CREATE TABLE projects (
  id         text PRIMARY KEY,
  user_id    text NOT NULL REFERENCES users,
  name       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX projects_by_user ON projects (user_id, id);

CREATE TABLE api_keys (
  id                  text PRIMARY KEY,
  user_id             text NOT NULL REFERENCES users,
  project_id          text REFERENCES projects,
  name                text NOT NULL,
  sha256              bytea NOT NULL UNIQUE,
  hint                text NOT NULL,
  allowed_models      text[],
  external_processing boolean NOT NULL DEFAULT true,
  requests_per_minute integer CHECK (requests_per_minute > 0),
  smoke_test          boolean NOT NULL DEFAULT false,
  expires_at          timestamptz,
  created_at          timestamptz NOT NULL DEFAULT now(),
  revoked_at          timestamptz
);
CREATE INDEX api_keys_by_user ON api_keys (user_id, id);

-- When the key's next request would be on time (GCRA). Losing it in a crash only forgives the last minute.
CREATE UNLOGGED TABLE api_key_rates (
  key_id  text PRIMARY KEY,
  next_at timestamptz NOT NULL
);

-- Money, in nano-USD --------------------------------------------------------------------------------------------------
-- An entry moves the balance by amount_nanos and what is held of it by held_nanos. An account is the sum of its entries.
-- Lock order everywhere: account, hold, job, then the feature's own rows.

CREATE TABLE accounts (
  user_id       text PRIMARY KEY REFERENCES users,
  balance_nanos bigint NOT NULL DEFAULT 0,
  held_nanos    bigint NOT NULL DEFAULT 0 CHECK (held_nanos >= 0)
);

CREATE TABLE holds (
  resource_id     text PRIMARY KEY,
  user_id         text NOT NULL REFERENCES users,
  amount_nanos    bigint NOT NULL CHECK (amount_nanos >= 0),
  remaining_nanos bigint NOT NULL CHECK (remaining_nanos >= 0),
  created_at      timestamptz NOT NULL DEFAULT now(),
  released_at     timestamptz
);
CREATE INDEX holds_open ON holds (resource_id) WHERE released_at IS NULL;

-- The reference is a UUIDv7 (a request's, or the one in a resource's id), so the primary key is also the month.
CREATE TABLE ledger_entries (
  reference        uuid NOT NULL,
  kind             text NOT NULL CHECK (kind IN ('credit', 'charge', 'hold', 'release')),
  user_id          text NOT NULL,
  project_id       text,
  hold_resource_id text,
  amount_nanos     bigint NOT NULL,
  held_nanos       bigint NOT NULL,
  note             text,
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (reference, kind)
) PARTITION BY RANGE (reference);
CREATE INDEX ledger_entries_by_user ON ledger_entries (user_id, reference);

-- Model calls ---------------------------------------------------------------------------------------------------------

CREATE TABLE inference_requests (
  id               uuid PRIMARY KEY,
  user_id          text NOT NULL,
  project_id       text,
  api_key_id       text NOT NULL,
  surface          text NOT NULL,
  resource_id      text,
  model            text NOT NULL,
  upstream         text,
  upstream_model   text,
  status           text NOT NULL CHECK (status IN ('completed', 'failed', 'canceled')),
  error_code       text,
  streamed         boolean NOT NULL,
  tokens_in        integer NOT NULL,
  tokens_out       integer NOT NULL,
  cached_tokens    integer,
  reasoning_tokens integer,
  usage_source     text NOT NULL CHECK (usage_source IN ('upstream', 'counted', 'none')),
  cost_nanos       bigint NOT NULL,
  provider_billed  boolean NOT NULL,
  fallback_count   integer NOT NULL,
  duration_ms      integer NOT NULL,
  first_token_ms   integer,
  created_at       timestamptz NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX inference_requests_by_user ON inference_requests (user_id, id);
-- Edges of a totals window are counted from rows by time.
CREATE INDEX inference_requests_by_time ON inference_requests (user_id, created_at);

CREATE TABLE usage_hourly (
  user_id    text NOT NULL,
  project_id text NOT NULL, -- '' where there is none
  hour       timestamptz NOT NULL,
  api_key_id text NOT NULL,
  surface    text NOT NULL,
  model      text NOT NULL,
  requests   bigint NOT NULL,
  tokens_in  bigint NOT NULL,
  tokens_out bigint NOT NULL,
  cost_nanos bigint NOT NULL,
  PRIMARY KEY (user_id, project_id, hour, api_key_id, surface, model)
);

-- The smallest UUIDv7 of an instant (RFC 9562 section 5.7): its milliseconds, then the version's bits.
CREATE FUNCTION uuidv7_floor(instant timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM instant) * 1000)::bigint), 12, '0') || '70000000000000000000')::uuid
$$;

-- Makes the month partitions from the last month to months_ahead; run at every migration and by the control worker.
CREATE FUNCTION ensure_month_partitions(months_ahead integer) RETURNS void LANGUAGE plpgsql SET timezone TO 'UTC' AS $$
DECLARE
  parent text;
  month  timestamptz;
BEGIN
  FOREACH parent IN ARRAY ARRAY['ledger_entries', 'inference_requests'] LOOP
    FOR step IN -1 .. months_ahead LOOP
      month := date_trunc('month', now()) + step * interval '1 month';
      EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
        parent || '_' || to_char(month, 'YYYY_MM'), parent,
        uuidv7_floor(month), uuidv7_floor(month + interval '1 month'));
    END LOOP;
  END LOOP;
END $$;
SELECT ensure_month_partitions(12);

-- Durable jobs --------------------------------------------------------------------------------------------------------
-- A job exists when its row does. Commands are carried to Temporal by the relay, in order within a job, at least once.

CREATE TABLE jobs (
  resource_id text PRIMARY KEY,
  kind        text NOT NULL,
  workflow    text NOT NULL,
  task_queue  text NOT NULL,
  user_id     text NOT NULL REFERENCES users,
  project_id  text REFERENCES projects,
  run         integer NOT NULL DEFAULT 1,
  state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ended')),
  outcome     text,
  summary     text NOT NULL,
  input       jsonb NOT NULL,
  file_ids    text[] NOT NULL DEFAULT '{}',
  lost_runs   integer NOT NULL DEFAULT 0,
  created_at  timestamptz NOT NULL DEFAULT now(),
  touched_at  timestamptz NOT NULL DEFAULT now(),
  ended_at    timestamptz,
  CHECK ((state = 'ended') = (ended_at IS NOT NULL))
);
CREATE INDEX jobs_open ON jobs (touched_at) WHERE state = 'open';
CREATE INDEX jobs_open_files ON jobs USING gin (file_ids) WHERE state = 'open';
CREATE INDEX jobs_open_by_user ON jobs (user_id) WHERE state = 'open';

CREATE TABLE job_commands (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  resource_id  text NOT NULL REFERENCES jobs,
  run          integer NOT NULL,
  command      text NOT NULL CHECK (command IN ('start', 'cancel', 'signal')),
  signal       text,
  payload      jsonb,
  created_at   timestamptz NOT NULL DEFAULT now(),
  due_at       timestamptz NOT NULL DEFAULT now(),
  attempts     integer NOT NULL DEFAULT 0,
  last_error   text,
  delivered_at timestamptz
);
CREATE INDEX job_commands_due ON job_commands (due_at, id) WHERE delivered_at IS NULL;
CREATE INDEX job_commands_open_by_job ON job_commands (resource_id, id) WHERE delivered_at IS NULL;

CREATE TABLE idempotency_keys (
  user_id        text NOT NULL,
  project_id     text NOT NULL, -- '' where there is none
  operation      text NOT NULL,
  key            text NOT NULL,
  request_sha256 bytea NOT NULL,
  resource_id    text NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, project_id, operation, key)
);

-- What happened, appended in the transaction in which it did; webhooks, queues and audit read it.
CREATE TABLE project_events (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id     text NOT NULL,
  project_id  text,
  type        text NOT NULL,
  resource_id text NOT NULL,
  data        jsonb NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX project_events_by_owner ON project_events (user_id, project_id, id);
