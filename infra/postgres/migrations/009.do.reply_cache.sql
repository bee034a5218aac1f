-- Replies that calls with cache_mode `aggressive` share within their project. Losing them in a crash costs nothing.
CREATE UNLOGGED TABLE reply_cache (
  user_id        text NOT NULL,
  project_id     text NOT NULL, -- '' where there is none
  request_sha256 bytea NOT NULL,
  reply          jsonb NOT NULL,
  expires_at     timestamptz NOT NULL,
  PRIMARY KEY (user_id, project_id, request_sha256)
);
CREATE INDEX reply_cache_expired ON reply_cache (expires_at);
