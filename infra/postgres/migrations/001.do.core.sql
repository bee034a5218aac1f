-- The smallest UUIDv7 of an instant (RFC 9562 section 5.7): its milliseconds, then the version's bits.
CREATE FUNCTION uuidv7_floor(instant timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM instant) * 1000)::bigint), 12, '0') || '70000000000000000000')::uuid
$$;

-- Makes the month partitions from the last month to months_ahead; run at every migration and by the control worker.
CREATE FUNCTION ensure_month_partitions(months_ahead integer) RETURNS void LANGUAGE plpgsql SET timezone TO 'UTC' AS $$
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
