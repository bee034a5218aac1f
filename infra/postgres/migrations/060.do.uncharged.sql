-- What a job used upstream that nobody was charged for is of the job, whatever its kind.
ALTER TABLE jobs ADD COLUMN uncharged_nanos bigint NOT NULL DEFAULT 0 CHECK (uncharged_nanos >= 0);
UPDATE jobs j SET uncharged_nanos = t.uncharged_nanos
FROM agent_turns t WHERE t.id = j.resource_id AND t.uncharged_nanos > 0;
ALTER TABLE agent_turns DROP COLUMN uncharged_nanos;
CREATE INDEX jobs_uncharged ON jobs (created_at DESC) WHERE uncharged_nanos > 0;
