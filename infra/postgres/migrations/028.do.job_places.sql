-- A job waits in Postgres until its account has a place for it: waiting -> given, and then its workflow is started. One
-- that is cancelled before is withdrawn, and ends without a workflow.
ALTER TABLE jobs
  ADD COLUMN place text NOT NULL DEFAULT 'given' CHECK (place IN ('waiting', 'given', 'withdrawn')),
  -- When it must have ended: one that still waits is started then, and ends as late.
  ADD COLUMN deadline_at timestamptz;
CREATE INDEX jobs_waiting ON jobs (user_id, kind, created_at, resource_id) WHERE state = 'open' AND place = 'waiting';
CREATE INDEX jobs_open_by_kind ON jobs (user_id, kind, place) WHERE state = 'open';
DROP INDEX jobs_open_by_user;

-- 'end': the job has no workflow, and is ended without one.
ALTER TABLE job_commands DROP CONSTRAINT job_commands_command_check;
ALTER TABLE job_commands
  ADD CONSTRAINT job_commands_command_check CHECK (command IN ('start', 'cancel', 'signal', 'end')),
  ADD COLUMN user_id text NOT NULL DEFAULT '',
  -- Whether nobody waits for it at a screen.
  ADD COLUMN background boolean NOT NULL DEFAULT false;
-- The relay takes the commands of accounts in turn, interactive ones first.
CREATE INDEX job_commands_by_user ON job_commands (user_id, background, id) WHERE delivered_at IS NULL;
