-- Trials of people without an account. What identifies an installation, a machine or an address is kept as a keyed hash.

ALTER TABLE api_keys ADD COLUMN requests_per_day integer CHECK (requests_per_day > 0);

-- What the day-limited keys of an account have asked on a day (UTC), together: a new key is no new day.
CREATE TABLE daily_requests (
  user_id  text PRIMARY KEY REFERENCES users,
  day      date NOT NULL,
  requests integer NOT NULL
);

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
  expires_at        timestamptz NOT NULL
);
CREATE INDEX trials_by_time ON trials (created_at);
CREATE INDEX trials_by_address ON trials (address_hash, created_at);

-- An installation and a machine each have one trial at the most.
CREATE TABLE trial_identities (
  hash     bytea PRIMARY KEY,
  trial_id text NOT NULL REFERENCES trials
);
