-- Input that was written to the provider's cache, which has a price of its own; part of tokens_in.
ALTER TABLE inference_requests ADD COLUMN cache_write_tokens integer;
