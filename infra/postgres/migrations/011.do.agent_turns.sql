-- queued -> warming -> running -> streaming -> tooling -> completed | failed | canceled; cancel_requested from any that is
-- not an end. The id is the request's: it makes the charge unique, and names the log of the turn's events.
CREATE TABLE agent_turns (
  id                text PRIMARY KEY,
  user_id           text NOT NULL REFERENCES users,
  project_id        text REFERENCES projects,
  api_key_id        text NOT NULL REFERENCES api_keys,
  key_rules         jsonb NOT NULL,
  model             text NOT NULL,
  -- What the model is asked; gone once the turn has ended.
  request           jsonb,
  lifecycle         text NOT NULL,
  attempt           integer NOT NULL DEFAULT 0,
  -- The log's last event when the newest attempt began: what an attempt that was given up wrote comes after it.
  attempt_seq       bigint,
  upstream_failures integer NOT NULL DEFAULT 0,
  error             jsonb,
  created_at        timestamptz NOT NULL DEFAULT now(),
  ended_at          timestamptz
);
CREATE INDEX agent_turns_by_owner ON agent_turns (user_id, id);
