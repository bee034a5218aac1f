-- What happened, appended in the transaction in which it did; webhooks, queues and audit read it. The events of a
-- project, or of an account outside of any ('' as the project), are a stream. An event's number is taken under the lock
-- of its stream's row, which is held until the commit: so numbers follow commits, without gaps, and who has read up to
-- one has missed none. The lock is taken as the transaction commits, behind all its others (domain/events).
DROP TABLE project_events;
CREATE TABLE event_streams (
  user_id    text NOT NULL,
  project_id text NOT NULL,
  last_seq   bigint NOT NULL,
  PRIMARY KEY (user_id, project_id)
) WITH (fillfactor = 50);

CREATE TABLE project_events (
  id            uuid PRIMARY KEY,
  user_id       text NOT NULL,
  project_id    text NOT NULL,
  seq           bigint NOT NULL,
  type          text NOT NULL,
  subject       text NOT NULL,
  payload       jsonb NOT NULL,
  created_at    timestamptz NOT NULL,
  -- When it was given to the subscribers.
  dispatched_at timestamptz
) PARTITION BY RANGE (id);
CREATE INDEX project_events_by_stream ON project_events (user_id, project_id, seq);
CREATE INDEX project_events_undispatched ON project_events (user_id, project_id, seq) WHERE dispatched_at IS NULL;
SELECT ensure_month_partitions(12);

-- Below what balance the account is told that its credit runs low; null where it was told since its last credit.
ALTER TABLE accounts ADD COLUMN low_below_nanos bigint;
UPDATE accounts SET low_below_nanos = balance_nanos / 10 WHERE balance_nanos >= 10;
