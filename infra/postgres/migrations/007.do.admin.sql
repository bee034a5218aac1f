-- Each request that came by the admin token: who operates what, from where.
CREATE TABLE admin_uses (
  request_id     uuid PRIMARY KEY,
  used_at        timestamptz NOT NULL DEFAULT now(),
  operation      text NOT NULL,
  path           text NOT NULL,
  client_address text NOT NULL
);
CREATE INDEX admin_uses_by_time ON admin_uses (used_at);
