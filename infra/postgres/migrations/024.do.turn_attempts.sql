-- Attempts are counted before their upstream is asked, and so whatever becomes of them. What an attempt used upstream
-- that nobody was charged for is for operators to see.
ALTER TABLE agent_turns RENAME COLUMN upstream_failures TO attempts_begun;
ALTER TABLE agent_turns ADD COLUMN uncharged_nanos bigint NOT NULL DEFAULT 0;
