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
