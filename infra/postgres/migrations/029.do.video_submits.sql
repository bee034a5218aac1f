-- How often the provider was asked to make it and may have begun: counted before it is asked.
ALTER TABLE videos ADD COLUMN submits integer NOT NULL DEFAULT 0;
