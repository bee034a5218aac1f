-- The operation that a turn is run for: a background response is a turn whose events are told in another way.
ALTER TABLE agent_turns ADD COLUMN surface text NOT NULL DEFAULT 'turn';
-- A background response is 'queued' here until its turn ends.
ALTER TABLE responses ADD COLUMN background boolean NOT NULL DEFAULT false;
