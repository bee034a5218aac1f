-- Amounts are nano-USD.

-- An entry moves the balance by amount_nanos and what is held of it by held_nanos. An account is the sum of its entries.
-- Lock order everywhere: account, hold, job, then the feature's own rows.
CREATE TABLE accounts (
  user_id         text PRIMARY KEY REFERENCES users,
  balance_nanos   bigint NOT NULL DEFAULT 0,
  held_nanos      bigint NOT NULL DEFAULT 0 CHECK (held_nanos >= 0),
  -- The sum of the account's leases. It is on the account's row, so that whoever sets something aside finds it under the
  -- one lock that guards the account.
  leased_nanos    bigint NOT NULL DEFAULT 0 CHECK (leased_nanos >= 0),
  -- Below what balance the account is told that its credit runs low; null where it was told since its last credit.
  low_below_nanos bigint
);

-- What processes have leased of accounts (domain/money/leases/balances.ts), to admit calls without asking. It survives a
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

CREATE TABLE holds (
  resource_id     text NOT NULL,
  user_id         text NOT NULL REFERENCES users,
  amount_nanos    bigint NOT NULL CHECK (amount_nanos >= 0),
  remaining_nanos bigint NOT NULL CHECK (remaining_nanos >= 0),
  created_at      timestamptz NOT NULL DEFAULT now(),
  released_at     timestamptz,
  -- A hold belongs to a run of its resource: the next run after an end has a hold of its own. A resource has one open hold
  -- at most, and charges draw on that: a run that was superseded writes none.
  run             integer NOT NULL,
  PRIMARY KEY (resource_id, run)
);
CREATE UNIQUE INDEX holds_open ON holds (resource_id) WHERE released_at IS NULL;

-- The reference is a UUIDv7 (a request's, or the one in a resource's id), so the primary key is also the month.
CREATE TABLE ledger_entries (
  reference        uuid NOT NULL,
  kind             text NOT NULL CHECK (kind IN ('credit', 'charge', 'hold', 'release')),
  user_id          text NOT NULL,
  project_id       text,
  hold_resource_id text,
  amount_nanos     bigint NOT NULL,
  held_nanos       bigint NOT NULL,
  note             text,
  created_at       timestamptz NOT NULL DEFAULT now(),
  -- Of which run's hold the entry is; null where it is of none.
  hold_run         integer,
  -- A resource's holds and releases have one reference. A charge is the only one of its reference, whatever it drew on.
  run              integer NOT NULL GENERATED ALWAYS AS
    (CASE WHEN kind IN ('hold', 'release') THEN coalesce(hold_run, 0) ELSE 0 END) STORED,
  CHECK ((hold_resource_id IS NULL) = (hold_run IS NULL)),
  PRIMARY KEY (reference, kind, run)
) PARTITION BY RANGE (reference);
CREATE INDEX ledger_entries_by_user ON ledger_entries (user_id, reference);

CREATE TABLE usage_hourly (
  user_id     text NOT NULL,
  project_id  text NOT NULL, -- '' where there is none
  hour        timestamptz NOT NULL,
  api_key_id  text NOT NULL,
  surface     text NOT NULL,
  model       text NOT NULL,
  requests    bigint NOT NULL,
  tokens_in   bigint NOT NULL,
  tokens_out  bigint NOT NULL,
  cost_nanos  bigint NOT NULL,
  -- Tokens of calls that cost no credit, so that a bill's free and billable quantities need no rows.
  free_tokens bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, project_id, hour, api_key_id, surface, model)
);

-- Fails the transaction that asks for more than an account has free; the detail says how much that is.
CREATE FUNCTION refuse_hold(free_nanos bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the account does not cover the hold' USING ERRCODE = 'IP402', DETAIL = free_nanos::text;
END
$$;

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

-- Fails the transaction that would place a second hold for a run, or one beside another run's.
CREATE FUNCTION refuse_second_hold(resource_id text, run integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'another hold of % stands in the way of that of its run %', resource_id, run USING ERRCODE = 'IP409';
END
$$;
