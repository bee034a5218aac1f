-- Whether nobody waits for the job at a screen: its commands are carried behind those of others.
ALTER TABLE jobs ADD COLUMN background boolean NOT NULL DEFAULT true;
UPDATE jobs SET background = kind <> 'turn';
ALTER TABLE jobs ALTER COLUMN background DROP DEFAULT;
