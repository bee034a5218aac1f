-- Fails the transaction that asks for more than an account has free; the detail says how much that is.
CREATE FUNCTION refuse_hold(free_nanos bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the account does not cover the hold' USING ERRCODE = 'IP402', DETAIL = free_nanos::text;
END
$$;

-- A page of calls of one model, or of one session, is read without the owner's other calls.
CREATE INDEX inference_requests_by_model ON inference_requests (user_id, model, id);
CREATE INDEX inference_requests_by_session ON inference_requests (user_id, (metadata->>'session_id'), id)
  WHERE metadata->>'session_id' IS NOT NULL;

-- The relay takes the oldest open commands, however many wait.
CREATE INDEX job_commands_open ON job_commands (id) WHERE delivered_at IS NULL;
DROP INDEX job_commands_due;
