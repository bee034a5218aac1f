-- What is removed after its time (domain/jobs/retention.rules.ts) is found by index, a thousand rows at a time.
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
CREATE INDEX job_commands_delivered ON job_commands (delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE state = 'ended';
CREATE INDEX batches_ended ON batches (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX agent_turns_ended ON agent_turns (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX videos_ended ON videos (ended_at) WHERE ended_at IS NOT NULL AND content IS NULL;
CREATE INDEX event_logs_emptied ON event_logs (closed_at) WHERE closed_at IS NOT NULL AND removed_seq >= last_seq;

-- A job's commands go with it.
ALTER TABLE job_commands DROP CONSTRAINT job_commands_resource_id_fkey,
  ADD FOREIGN KEY (resource_id) REFERENCES jobs ON DELETE CASCADE;
