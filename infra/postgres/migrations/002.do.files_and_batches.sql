-- A file is a row and an object. State machine: uploading -> ready -> deleting -> (row gone).
-- The row comes before the object and leaves after it, so no object is ever without a row that a sweep can find.
CREATE TABLE files (
  id         text PRIMARY KEY,
  user_id    text NOT NULL REFERENCES users,
  project_id text REFERENCES projects,
  purpose    text NOT NULL,
  filename   text,
  state      text NOT NULL CHECK (state IN ('uploading', 'ready', 'deleting')),
  object_key text NOT NULL,
  bytes      bigint NOT NULL DEFAULT 0,
  sha256     text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  touched_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX files_by_owner ON files (user_id, id);
CREATE INDEX files_unfinished ON files (touched_at) WHERE state <> 'ready';

-- validating -> in_progress -> finalizing -> completed | cancelled | expired, and any of them -> failed.
-- cancelling stands where a caller asked to stop and the rows are not finished yet.
CREATE TABLE batches (
  id                        text PRIMARY KEY,
  user_id                   text NOT NULL REFERENCES users,
  project_id                text REFERENCES projects,
  api_key_id                text NOT NULL REFERENCES api_keys,
  key_rules                 jsonb NOT NULL,
  status                    text NOT NULL,
  endpoint                  text NOT NULL,
  input_file_id             text NOT NULL,
  output_file_id            text,
  error_file_id             text,
  metadata                  jsonb,
  completion_window_seconds integer NOT NULL,
  deadline_at               timestamptz NOT NULL,
  rows_total                integer NOT NULL DEFAULT 0,
  rows_completed            integer NOT NULL DEFAULT 0,
  rows_failed               integer NOT NULL DEFAULT 0,
  tokens_in                 bigint NOT NULL DEFAULT 0,
  tokens_out                bigint NOT NULL DEFAULT 0,
  cost_nanos                bigint NOT NULL DEFAULT 0,
  reserved_nanos            bigint,
  last_error                text,
  created_at                timestamptz NOT NULL DEFAULT now(),
  started_at                timestamptz,
  cancel_requested_at       timestamptz,
  completed_at              timestamptz
);
CREATE INDEX batches_by_owner ON batches (user_id, id);

-- The request id is fixed before the first attempt: it makes the row's charge unique.
CREATE TABLE batch_rows (
  batch_id    text NOT NULL REFERENCES batches ON DELETE CASCADE,
  row_index   integer NOT NULL,
  custom_id   text,
  request_id  uuid,
  status      text NOT NULL CHECK (status IN ('pending', 'queued', 'running', 'completed', 'failed', 'cancelled')),
  model       text,
  byte_offset bigint NOT NULL,
  byte_length integer NOT NULL,
  output_line text,
  error       jsonb,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz,
  PRIMARY KEY (batch_id, row_index)
);

-- Who may write a chunk's rows: the newest (run, attempt) that claimed it.
CREATE TABLE batch_chunks (
  batch_id    text NOT NULL REFERENCES batches ON DELETE CASCADE,
  chunk_index integer NOT NULL,
  first_row   integer NOT NULL,
  row_count   integer NOT NULL,
  run         integer NOT NULL DEFAULT 0,
  attempt     integer NOT NULL DEFAULT 0,
  PRIMARY KEY (batch_id, chunk_index)
);
