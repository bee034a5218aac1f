-- What loading a response takes, so that a chain of them is measured before any of it is loaded.
ALTER TABLE responses ADD COLUMN content_bytes bigint NOT NULL DEFAULT 0;
UPDATE responses SET content_bytes = octet_length(input::text) + octet_length(output::text);
