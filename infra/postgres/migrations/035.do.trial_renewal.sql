-- What renews a trial besides its key: given once, when the trial begins. Null for trials from before it was given.
ALTER TABLE trials ADD COLUMN renewal_sha256 bytea UNIQUE;
CREATE UNIQUE INDEX trials_by_key ON trials (key_id);
