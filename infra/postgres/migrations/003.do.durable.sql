-- API processes that are up: each beats every second. One that has been silent for too long is declared lost by the
-- control worker, which removes its row: what it held is given back, and it holds nothing until it has a new one.
CREATE TABLE api_processes (
  id       text PRIMARY KEY,
  beat_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A job exists when its row does. Commands are carried to Temporal by the relay, in order within a job, at least once.
CREATE TABLE jobs (
  resource_id     text PRIMARY KEY,
  kind            text NOT NULL,
  workflow        text NOT NULL,
  task_queue      text NOT NULL,
  user_id         text NOT NULL REFERENCES users,
  project_id      text REFERENCES projects,
  run             integer NOT NULL DEFAULT 1,
  state           text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ended')),
  outcome         text,
  summary         text NOT NULL,
  input           jsonb NOT NULL,
  file_ids        text[] NOT NULL DEFAULT '{}',
  lost_runs       integer NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL DEFAULT now(),
  touched_at      timestamptz NOT NULL DEFAULT now(),
  ended_at        timestamptz,
  -- A job waits in Postgres until its account has a slot for it: waiting -> given, and then its workflow is started. One
  -- that is cancelled before is withdrawn, and ends without a workflow.
  slot           text NOT NULL DEFAULT 'given' CHECK (slot IN ('waiting', 'given', 'withdrawn')),
  -- When it must have ended: one that still waits is started then, and ends as late.
  deadline_at     timestamptz,
  -- Whether nobody waits for the job at a screen: its commands are carried behind those of others.
  background      boolean NOT NULL,
  -- What a job used upstream that nobody was charged for is of the job, whatever its kind.
  uncharged_nanos bigint NOT NULL DEFAULT 0 CHECK (uncharged_nanos >= 0),
  CHECK ((state = 'ended') = (ended_at IS NOT NULL))
);
CREATE INDEX jobs_open ON jobs (touched_at) WHERE state = 'open';
CREATE INDEX jobs_open_files ON jobs USING gin (file_ids) WHERE state = 'open';
CREATE INDEX jobs_waiting ON jobs (user_id, kind, created_at, resource_id) WHERE state = 'open' AND slot = 'waiting';
CREATE INDEX jobs_open_by_kind ON jobs (user_id, kind, slot) WHERE state = 'open';
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE state = 'ended';
CREATE INDEX jobs_uncharged ON jobs (created_at DESC) WHERE uncharged_nanos > 0;

CREATE TABLE job_commands (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  resource_id  text NOT NULL,
  run          integer NOT NULL,
  command      text NOT NULL CHECK (command IN ('start', 'cancel', 'signal', 'end')),
  signal       text,
  payload      jsonb,
  created_at   timestamptz NOT NULL DEFAULT now(),
  due_at       timestamptz NOT NULL DEFAULT now(),
  attempts     integer NOT NULL DEFAULT 0,
  last_error   text,
  delivered_at timestamptz,
  user_id      text NOT NULL DEFAULT '',
  -- Whether nobody waits for it at a screen.
  background   boolean NOT NULL DEFAULT false,
  FOREIGN KEY (resource_id) REFERENCES jobs ON DELETE CASCADE
);
CREATE INDEX job_commands_open_by_job ON job_commands (resource_id, id) WHERE delivered_at IS NULL;
-- The relay takes the oldest open commands, however many wait.
CREATE INDEX job_commands_open ON job_commands (id) WHERE delivered_at IS NULL;
-- The relay takes the commands of accounts in turn, interactive ones first.
CREATE INDEX job_commands_by_user ON job_commands (user_id, background, id) WHERE delivered_at IS NULL;
CREATE INDEX job_commands_delivered ON job_commands (delivered_at) WHERE delivered_at IS NOT NULL;

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
  closed_at      timestamptz,
  user_id        text,
  -- Its events, as JSON text.
  stored_bytes   bigint NOT NULL DEFAULT 0
);
CREATE INDEX event_logs_kept ON event_logs (closed_at) WHERE closed_at IS NOT NULL AND removed_seq < last_seq;
CREATE INDEX event_logs_emptied ON event_logs (closed_at) WHERE closed_at IS NOT NULL AND removed_seq >= last_seq;

-- The log's id leads the key, so a log's events lie in the month in which it began.
CREATE TABLE log_events (
  log_id     uuid NOT NULL,
  seq        bigint NOT NULL,
  type       text NOT NULL,
  data       jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (log_id, seq)
) PARTITION BY RANGE (log_id);

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
