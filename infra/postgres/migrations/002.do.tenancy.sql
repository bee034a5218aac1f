-- Before the other areas, since what belongs to somebody refers to users and projects.

CREATE TABLE users (
  id                  text PRIMARY KEY,
  name                text NOT NULL,
  created_at          timestamptz NOT NULL DEFAULT now(),
  disabled_at         timestamptz,
  -- null: the deployment's.
  storage_quota_bytes bigint CHECK (storage_quota_bytes >= 0)
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
  revoked_at          timestamptz,
  concurrent_streams  integer CHECK (concurrent_streams > 0),
  requests_per_day    integer CHECK (requests_per_day > 0)
);
CREATE INDEX api_keys_by_user ON api_keys (user_id, id);

-- What the processes have leased of a key's limit (domain/tenancy/limits). Losing it in a crash forgives the last minute;
-- processes state their open streams again.
CREATE UNLOGGED TABLE api_key_leases (
  key_id text NOT NULL,
  kind   text NOT NULL CHECK (kind IN ('requests', 'streams')),
  state  jsonb NOT NULL,
  PRIMARY KEY (key_id, kind)
);

-- What the day-limited keys of an account have asked on a day (UTC), together: a new key is no new day.
CREATE TABLE daily_requests (
  user_id  text PRIMARY KEY REFERENCES users,
  day      date NOT NULL,
  requests integer NOT NULL
);

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
-- What is removed after its time (domain/durable/retention/retention.rules.ts) is found by index, a thousand rows at a time.
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- Replies of calls that came with an Idempotency-Key (domain/tenancy/idempotency/kept-replies.ts): one that comes again is
-- answered from here. They hold what models wrote, and are kept for a day.
CREATE TABLE kept_replies (
  request_id   uuid PRIMARY KEY,
  user_id      text NOT NULL,
  project_id   text NOT NULL,
  operation    text NOT NULL,
  key          text NOT NULL,
  process_id   text NOT NULL,
  -- NULL while the call is under way.
  status       smallint,
  headers      json,
  -- Whether the body is a JSON array of server-sent events.
  streamed     boolean,
  -- NULL where it was too large.
  body         text,
  expires_at   timestamptz NOT NULL,
  stored_bytes bigint GENERATED ALWAYS AS (coalesce(octet_length(body), 0)) STORED,
  UNIQUE (user_id, project_id, operation, key),
  FOREIGN KEY (user_id, project_id, operation, key) REFERENCES idempotency_keys ON DELETE CASCADE
);
CREATE INDEX kept_replies_by_expiry ON kept_replies (expires_at);

-- Trials of people without an account. What identifies an installation, a machine or an address is kept as a keyed hash.
CREATE TABLE trials (
  id                text PRIMARY KEY,
  user_id           text NOT NULL UNIQUE REFERENCES users,
  project_id        text NOT NULL REFERENCES projects,
  key_id            text NOT NULL REFERENCES api_keys,
  key_day           date NOT NULL,
  keys_of_day       integer NOT NULL DEFAULT 1,
  address_hash      bytea NOT NULL,
  extension_version text NOT NULL,
  attribution       jsonb,
  created_at        timestamptz NOT NULL DEFAULT now(),
  expires_at        timestamptz NOT NULL,
  -- What renews a trial besides its key: given once, when the trial begins. Null for trials from before it was given.
  renewal_sha256    bytea UNIQUE
);
CREATE INDEX trials_by_time ON trials (created_at);
CREATE INDEX trials_by_address ON trials (address_hash, created_at);
CREATE UNIQUE INDEX trials_by_key ON trials (key_id);

-- An installation and a machine each have one trial at the most.
CREATE TABLE trial_identities (
  hash     bytea PRIMARY KEY,
  trial_id text NOT NULL REFERENCES trials
);

-- What accounts keep, in bytes, by kind. It is counted by triggers, so in the transaction of every write, whoever
-- writes. A row is one server process's part of the sum: so no two transactions wait for each other's count. Parts of
-- processes that are gone are folded into part 0.
CREATE TABLE storage_usage (
  user_id text NOT NULL,
  kind    text NOT NULL,
  part    integer NOT NULL,
  bytes   bigint NOT NULL,
  PRIMARY KEY (user_id, kind, part)
);

CREATE FUNCTION count_stored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO storage_usage AS u (user_id, kind, part, bytes)
    SELECT user_id, TG_ARGV[0], pg_backend_pid(), sum(stored_bytes) FROM added
    WHERE user_id IS NOT NULL GROUP BY user_id HAVING sum(stored_bytes) <> 0
    ON CONFLICT (user_id, kind, part) DO UPDATE SET bytes = u.bytes + excluded.bytes;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO storage_usage AS u (user_id, kind, part, bytes)
    SELECT user_id, TG_ARGV[0], pg_backend_pid(), -sum(stored_bytes) FROM removed
    WHERE user_id IS NOT NULL GROUP BY user_id HAVING sum(stored_bytes) <> 0
    ON CONFLICT (user_id, kind, part) DO UPDATE SET bytes = u.bytes + excluded.bytes;
  ELSE
    INSERT INTO storage_usage AS u (user_id, kind, part, bytes)
    SELECT user_id, TG_ARGV[0], pg_backend_pid(), sum(bytes)
    FROM (SELECT user_id, stored_bytes AS bytes FROM added UNION ALL SELECT user_id, -stored_bytes FROM removed) AS change
    WHERE user_id IS NOT NULL GROUP BY user_id HAVING sum(bytes) <> 0
    ON CONFLICT (user_id, kind, part) DO UPDATE SET bytes = u.bytes + excluded.bytes;
  END IF;
  RETURN NULL;
END $$;
