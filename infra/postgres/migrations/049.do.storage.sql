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

-- null: the deployment's.
ALTER TABLE users ADD COLUMN storage_quota_bytes bigint CHECK (storage_quota_bytes >= 0);

ALTER TABLE files ADD COLUMN stored_bytes bigint GENERATED ALWAYS AS (bytes) STORED;
ALTER TABLE responses ADD COLUMN stored_bytes bigint GENERATED ALWAYS AS
  (octet_length(input::text) + octet_length(output::text) + octet_length(settings::text)) STORED;
ALTER TABLE agent_turns ADD COLUMN stored_bytes bigint GENERATED ALWAYS AS
  (coalesce(octet_length(request::text), 0)) STORED;
ALTER TABLE videos ADD COLUMN stored_bytes bigint GENERATED ALWAYS AS
  (coalesce(octet_length(request::text), 0) + coalesce((content->>'size_bytes')::bigint, 0)) STORED;
ALTER TABLE request_contents ADD COLUMN stored_bytes bigint GENERATED ALWAYS AS
  (octet_length(request::text) + octet_length(reply)) STORED;
ALTER TABLE kept_replies ADD COLUMN stored_bytes bigint GENERATED ALWAYS AS (coalesce(octet_length(body), 0)) STORED;
-- The replies of its rows.
ALTER TABLE batches ADD COLUMN stored_bytes bigint NOT NULL DEFAULT 0;
UPDATE batches b SET stored_bytes = r.bytes
FROM (SELECT batch_id, sum(octet_length(output_line)) AS bytes FROM batch_rows WHERE output_line IS NOT NULL GROUP BY 1) r
WHERE r.batch_id = b.id;
-- Its events, as JSON text.
ALTER TABLE event_logs ADD COLUMN user_id text, ADD COLUMN stored_bytes bigint NOT NULL DEFAULT 0;
UPDATE event_logs l SET user_id = o.user_id, stored_bytes = coalesce(
  (SELECT sum(octet_length(data::text)) FROM log_events e WHERE e.log_id = l.id), 0)
FROM (SELECT replace(id, 'turn_', '')::uuid AS id, user_id FROM agent_turns
      UNION SELECT replace(id, 'resp_', '')::uuid, user_id FROM responses) o
WHERE o.id = l.id;

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

DO $$
DECLARE
  counted text[];
BEGIN
  FOREACH counted SLICE 1 IN ARRAY ARRAY[
    ['files', 'files'], ['responses', 'responses'], ['agent_turns', 'turns'], ['videos', 'videos'],
    ['request_contents', 'contents'], ['kept_replies', 'kept_replies'], ['batches', 'batch_rows'], ['event_logs', 'events']]
  LOOP
    EXECUTE format('INSERT INTO storage_usage SELECT user_id, %L, 0, sum(stored_bytes) FROM %I
      WHERE user_id IS NOT NULL GROUP BY user_id', counted[2], counted[1]);
    EXECUTE format('CREATE TRIGGER count_inserted AFTER INSERT ON %I REFERENCING NEW TABLE AS added
      FOR EACH STATEMENT EXECUTE FUNCTION count_stored(%L)', counted[1], counted[2]);
    EXECUTE format('CREATE TRIGGER count_updated AFTER UPDATE ON %I REFERENCING NEW TABLE AS added OLD TABLE AS removed
      FOR EACH STATEMENT EXECUTE FUNCTION count_stored(%L)', counted[1], counted[2]);
    EXECUTE format('CREATE TRIGGER count_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS removed
      FOR EACH STATEMENT EXECUTE FUNCTION count_stored(%L)', counted[1], counted[2]);
  END LOOP;
END $$;
