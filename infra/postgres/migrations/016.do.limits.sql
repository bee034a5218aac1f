ALTER TABLE api_keys ADD COLUMN concurrent_streams integer CHECK (concurrent_streams > 0);

-- What the processes have leased of a key's limit (domain/limits). Losing it in a crash forgives the last minute;
-- processes state their open streams again.
CREATE UNLOGGED TABLE api_key_leases (
  key_id text NOT NULL,
  kind   text NOT NULL CHECK (kind IN ('requests', 'streams')),
  state  jsonb NOT NULL,
  PRIMARY KEY (key_id, kind)
);

DROP TABLE api_key_rates;
