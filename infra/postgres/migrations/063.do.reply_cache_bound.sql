-- What an account's cached replies may have together is bounded where they are kept.
ALTER TABLE reply_cache ADD COLUMN bytes integer GENERATED ALWAYS AS (octet_length(reply::text)) STORED;
CREATE INDEX reply_cache_by_age ON reply_cache (user_id, expires_at DESC);
