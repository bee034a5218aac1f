-- Replies of calls that came with an Idempotency-Key (domain/idempotency/kept-replies.ts): one that comes again is
-- answered from here. They hold what models wrote, and are kept for a day.
CREATE TABLE kept_replies (
  request_id uuid PRIMARY KEY,
  user_id    text NOT NULL,
  project_id text NOT NULL,
  operation  text NOT NULL,
  key        text NOT NULL,
  process_id text NOT NULL,
  -- NULL while the call is under way.
  status     smallint,
  headers    json,
  -- Whether the body is a JSON array of server-sent events.
  streamed   boolean,
  -- NULL where it was too large.
  body       text,
  expires_at timestamptz NOT NULL,
  UNIQUE (user_id, project_id, operation, key),
  FOREIGN KEY (user_id, project_id, operation, key) REFERENCES idempotency_keys ON DELETE CASCADE
);
CREATE INDEX kept_replies_by_expiry ON kept_replies (expires_at);
