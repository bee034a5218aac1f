-- API processes that are up: each says so every second. One that has been silent for too long is declared lost by the
-- control worker, which removes its row: what it held is given back, and it holds nothing until it has a new one.
CREATE TABLE api_processes (
  id       text PRIMARY KEY,
  spoke_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What processes have leased of accounts (domain/ledger/balances.ts), to admit calls without asking. It survives a
-- crash of Postgres, since the processes go on admitting after it.
-- Lock order: process, account, lease.
CREATE TABLE account_leases (
  user_id    text NOT NULL REFERENCES users,
  process_id text NOT NULL REFERENCES api_processes,
  nanos      bigint NOT NULL CHECK (nanos > 0),
  -- Of the holder's exchanges: one that arrives after a later one changes nothing.
  number     bigint NOT NULL,
  -- Another needs it: cleared by the holder's next exchange.
  recalled   boolean NOT NULL DEFAULT false,
  PRIMARY KEY (user_id, process_id)
);
CREATE INDEX account_leases_by_process ON account_leases (process_id);

-- The sum of the account's leases. It is on the account's row, so that whoever sets something aside finds it under the
-- one lock that guards the account.
ALTER TABLE accounts ADD COLUMN leased_nanos bigint NOT NULL DEFAULT 0 CHECK (leased_nanos >= 0);

-- Exchanges a process's leases of some accounts: it keeps so much of each, and gets what it needs, and of the rest at
-- most half, up to what it would like. A function, since each statement in it sees what was committed when it begins:
-- the leases are read once the account is locked, and the lock is held for no round trip.
CREATE FUNCTION exchange_leases(holder text, asked json)
RETURNS TABLE (user_id text, granted_nanos bigint, free_nanos bigint, others_nanos bigint, available_nanos bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  ask     record;
  account record;
  own     record;
BEGIN
  PERFORM FROM api_processes WHERE id = holder FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the process was declared lost' USING ERRCODE = 'IP410';
  END IF;
  FOR ask IN
    SELECT * FROM json_to_recordset(asked)
      AS a(user_id text, number bigint, kept bigint, need bigint, extra bigint) ORDER BY a.user_id
  LOOP
    SELECT a.balance_nanos, a.held_nanos, a.leased_nanos INTO account
      FROM accounts a WHERE a.user_id = ask.user_id FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    SELECT coalesce(max(l.nanos), 0) AS nanos, coalesce(max(l.number), 0) AS number INTO own
      FROM account_leases l WHERE l.user_id = ask.user_id AND l.process_id = holder;
    CONTINUE WHEN own.number >= ask.number;
    user_id := ask.user_id;
    available_nanos := account.balance_nanos - account.held_nanos;
    others_nanos := account.leased_nanos - own.nanos;
    free_nanos := available_nanos - others_nanos - ask.kept;
    granted_nanos := CASE WHEN free_nanos >= ask.need
      THEN ask.need + greatest(0, least(ask.extra, (free_nanos - ask.need) / 2)) ELSE 0 END;
    free_nanos := free_nanos - granted_nanos;
    IF ask.kept + granted_nanos > 0 THEN
      INSERT INTO account_leases AS l (user_id, process_id, nanos, number)
      VALUES (ask.user_id, holder, ask.kept + granted_nanos, ask.number)
      ON CONFLICT ON CONSTRAINT account_leases_pkey
      DO UPDATE SET nanos = excluded.nanos, number = excluded.number, recalled = false;
    ELSE
      DELETE FROM account_leases l WHERE l.user_id = ask.user_id AND l.process_id = holder;
    END IF;
    IF ask.kept + granted_nanos <> own.nanos THEN
      UPDATE accounts a SET leased_nanos = others_nanos + ask.kept + granted_nanos WHERE a.user_id = ask.user_id;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

-- As before, and says how much of what is missing processes have leased.
CREATE FUNCTION refuse_hold(free_nanos bigint, leased_nanos bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the account does not cover the hold'
    USING ERRCODE = 'IP402', DETAIL = free_nanos::text || ' ' || leased_nanos::text;
END
$$;
