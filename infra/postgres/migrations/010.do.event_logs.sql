-- Append-only logs that readers follow: of turns, and of whatever else is streamed durably. A log's id is the UUIDv7 of
-- its resource. Only the newest writer (run, attempt) may append; its steps make a repeated append harmless.
CREATE TABLE event_logs (
  id             uuid PRIMARY KEY,
  last_seq       bigint NOT NULL DEFAULT 0,
  -- Events up to this one were removed after their retention.
  removed_seq    bigint NOT NULL DEFAULT 0,
  writer_run     integer NOT NULL DEFAULT 0,
  writer_attempt integer NOT NULL DEFAULT 0,
  writer_step    integer NOT NULL DEFAULT 0,
  closed_at      timestamptz
);
CREATE INDEX event_logs_kept ON event_logs (closed_at) WHERE closed_at IS NOT NULL AND removed_seq < last_seq;

-- The log's id leads the key, so a log's events lie in the month in which it began.
CREATE TABLE log_events (
  log_id     uuid NOT NULL,
  seq        bigint NOT NULL,
  type       text NOT NULL,
  data       jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (log_id, seq)
) PARTITION BY RANGE (log_id);

CREATE OR REPLACE FUNCTION ensure_month_partitions(months_ahead integer) RETURNS void LANGUAGE plpgsql SET timezone TO 'UTC' AS $$
DECLARE
  parent text;
  month  timestamptz;
BEGIN
  FOR parent IN SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = current_schema()::regnamespace LOOP
    FOR step IN -1 .. months_ahead LOOP
      month := date_trunc('month', now()) + step * interval '1 month';
      EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
        parent || '_' || to_char(month, 'YYYY_MM'), parent,
        uuidv7_floor(month), uuidv7_floor(month + interval '1 month'));
    END LOOP;
  END LOOP;
END $$;
SELECT ensure_month_partitions(12);
