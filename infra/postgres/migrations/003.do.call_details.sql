-- What a call was asked as and what it is linked to, for history, replay and the routes that were taken.
ALTER TABLE inference_requests
  ADD COLUMN requested_model text,
  -- The client's own metadata of the request, as it was given.
  ADD COLUMN metadata jsonb,
  ADD COLUMN replay_of uuid,
  -- The caller's own provider credential that paid for the call.
  ADD COLUMN credential_id text,
  ADD COLUMN cache_hit boolean NOT NULL DEFAULT false;
