-- The output limit that a turn's hold was made for: it goes upstream, whatever the catalog says by then.
ALTER TABLE agent_turns ADD COLUMN output_limit integer CHECK (output_limit > 0);
