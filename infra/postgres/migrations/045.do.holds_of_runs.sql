-- A hold belongs to a run of its resource: the next run after an end has a hold of its own. A resource has one open hold
-- at most, and charges draw on that: a run that was superseded writes none.
ALTER TABLE holds ADD COLUMN run integer NOT NULL DEFAULT 1;
ALTER TABLE holds ALTER COLUMN run DROP DEFAULT;
ALTER TABLE holds DROP CONSTRAINT holds_pkey, ADD PRIMARY KEY (resource_id, run);
DROP INDEX holds_open;
CREATE UNIQUE INDEX holds_open ON holds (resource_id) WHERE released_at IS NULL;

-- Of which run's hold the entry is; null where it is of none.
ALTER TABLE ledger_entries ADD COLUMN hold_run integer;
UPDATE ledger_entries SET hold_run = 1 WHERE hold_resource_id IS NOT NULL;
ALTER TABLE ledger_entries ADD CHECK ((hold_resource_id IS NULL) = (hold_run IS NULL));
-- A resource's holds and releases have one reference. A charge is the only one of its reference, whatever it drew on.
ALTER TABLE ledger_entries
  ADD COLUMN run integer NOT NULL GENERATED ALWAYS AS
    (CASE WHEN kind IN ('hold', 'release') THEN coalesce(hold_run, 0) ELSE 0 END) STORED;
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_pkey, ADD PRIMARY KEY (reference, kind, run);

-- Fails the transaction that would place a second hold for a run, or one beside another run's.
CREATE FUNCTION refuse_second_hold(resource_id text, run integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'another hold of % stands in the way of that of its run %', resource_id, run USING ERRCODE = 'IP409';
END
$$;
