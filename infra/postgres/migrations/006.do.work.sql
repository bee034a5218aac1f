-- A file is a row and an object. State machine: uploading -> ready -> deleting -> (row gone).
-- The row comes before the object and leaves after it, so no object is ever without a row that a sweep can find.
CREATE TABLE files (
  id           text PRIMARY KEY,
  user_id      text NOT NULL REFERENCES users,
  project_id   text REFERENCES projects,
  purpose      text NOT NULL,
  filename     text,
  state        text NOT NULL CHECK (state IN ('uploading', 'ready', 'deleting')),
  object_key   text NOT NULL,
  bytes        bigint NOT NULL DEFAULT 0,
  sha256       text NOT NULL DEFAULT '',
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz,
  touched_at   timestamptz NOT NULL DEFAULT now(),
  stored_bytes bigint GENERATED ALWAYS AS (bytes) STORED
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
  completed_at              timestamptz,
  -- The replies of its rows.
  stored_bytes              bigint NOT NULL DEFAULT 0
);
CREATE INDEX batches_by_owner ON batches (user_id, id);
CREATE INDEX batches_ended ON batches (completed_at) WHERE completed_at IS NOT NULL;

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

-- queued -> warming -> running -> streaming -> tooling -> completed | failed | canceled; cancel_requested from any that is
-- not an end. The id is the request's: it makes the charge unique, and names the log of the turn's events.
CREATE TABLE agent_turns (
  id             text PRIMARY KEY,
  user_id        text NOT NULL REFERENCES users,
  project_id     text REFERENCES projects,
  api_key_id     text NOT NULL REFERENCES api_keys,
  key_rules      jsonb NOT NULL,
  model          text NOT NULL,
  -- What the model is asked; gone once the turn has ended.
  request        jsonb,
  lifecycle      text NOT NULL,
  attempt        integer NOT NULL DEFAULT 0,
  -- The log's last event when the newest attempt began: what an attempt that was given up wrote comes after it.
  attempt_seq    bigint,
  -- Attempts are counted before their upstream is asked, and so whatever becomes of them. What an attempt used upstream
  -- that nobody was charged for is for operators to see.
  attempts_begun integer NOT NULL DEFAULT 0,
  error          jsonb,
  created_at     timestamptz NOT NULL DEFAULT now(),
  ended_at       timestamptz,
  -- The operation that a turn is run for: a background response is a turn whose events are told in another way.
  surface        text NOT NULL DEFAULT 'turn',
  stored_bytes   bigint GENERATED ALWAYS AS (coalesce(octet_length(request::text), 0)) STORED,
  -- The output limit that a turn's hold was made for: it goes upstream, whatever the catalog says by then.
  output_limit   integer CHECK (output_limit > 0)
);
CREATE INDEX agent_turns_by_owner ON agent_turns (user_id, id);
CREATE INDEX agent_turns_ended ON agent_turns (ended_at) WHERE ended_at IS NOT NULL;

-- pending -> in_progress -> completed | failed | expired | cancelled
CREATE TABLE videos (
  id           text PRIMARY KEY,
  user_id      text NOT NULL REFERENCES users,
  project_id   text REFERENCES projects,
  api_key_id   text NOT NULL REFERENCES api_keys,
  key_rules    jsonb NOT NULL,
  model        text NOT NULL,
  asked_model  text NOT NULL,
  -- What the provider is asked; forgotten at the end.
  request      jsonb,
  metadata     jsonb,
  held_nanos   bigint NOT NULL,
  status       text NOT NULL,
  -- Who makes it, and under which handle: {"upstream", "model", "job_id", "generation_id"}. Stored before anything else is done.
  provider     jsonb,
  -- Polls in a row at which the provider did not know its own job.
  polls_missed integer NOT NULL DEFAULT 0,
  error        text,
  -- The outcome in our object store: {"key", "size_bytes", "etag", "content_type"}.
  content      jsonb,
  cost_nanos   bigint,
  created_at   timestamptz NOT NULL DEFAULT now(),
  ended_at     timestamptz,
  -- How often the provider was asked to make it and may have begun: counted before it is asked.
  submits      integer NOT NULL DEFAULT 0,
  stored_bytes bigint GENERATED ALWAYS AS
    (coalesce(octet_length(request::text), 0) + coalesce((content->>'size_bytes')::bigint, 0)) STORED
);
CREATE INDEX videos_by_owner ON videos (user_id, id);
CREATE INDEX videos_with_content ON videos (ended_at) WHERE content IS NOT NULL;
CREATE INDEX videos_ended ON videos (ended_at) WHERE ended_at IS NOT NULL AND content IS NULL;

-- What is kept of each is counted; a table that is added to them has three triggers of its own.
DO $$
DECLARE
  counted text[];
BEGIN
  FOREACH counted SLICE 1 IN ARRAY ARRAY[
    ['files', 'files'], ['responses', 'responses'], ['agent_turns', 'turns'], ['videos', 'videos'],
    ['request_contents', 'contents'], ['kept_replies', 'kept_replies'], ['batches', 'batch_rows'], ['event_logs', 'events']]
  LOOP
    EXECUTE format('CREATE TRIGGER count_inserted AFTER INSERT ON %I REFERENCING NEW TABLE AS added
      FOR EACH STATEMENT EXECUTE FUNCTION count_stored(%L)', counted[1], counted[2]);
    EXECUTE format('CREATE TRIGGER count_updated AFTER UPDATE ON %I REFERENCING NEW TABLE AS added OLD TABLE AS removed
      FOR EACH STATEMENT EXECUTE FUNCTION count_stored(%L)', counted[1], counted[2]);
    EXECUTE format('CREATE TRIGGER count_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS removed
      FOR EACH STATEMENT EXECUTE FUNCTION count_stored(%L)', counted[1], counted[2]);
  END LOOP;
END $$;

SELECT ensure_month_partitions(12);
