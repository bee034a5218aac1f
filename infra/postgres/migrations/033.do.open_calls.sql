-- Calls of API processes that have been under way for over a second, as their processes last told (domain/calls/
-- open-calls.ts). `call` is what would be recorded of each if its process were lost now: it is, when it is.
CREATE TABLE open_calls (
  id               uuid PRIMARY KEY,
  process_id       text NOT NULL REFERENCES api_processes,
  user_id          text NOT NULL REFERENCES users,
  project_id       text,
  started_at       timestamptz NOT NULL,
  worst_case_nanos bigint NOT NULL,
  call             json NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX open_calls_by_process ON open_calls (process_id);
CREATE INDEX open_calls_by_user ON open_calls (user_id);
