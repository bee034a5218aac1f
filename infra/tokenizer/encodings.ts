import type * as O200kBase from 'gpt-tokenizer/encoding/o200k_base'
import { createRequire } from 'node:module'

export type Encoding = 'o200k_base' | 'cl100k_base'
type EncodingApi = typeof O200kBase

const require = createRequire(import.meta.url)
const loaded = new Map<Encoding, EncodingApi>()

/**
 * The library's merge cache keys are slices that keep the whole text they were cut from alive; 2,000 of them are as
 * fast as its default of 100,000 on prose and JSON.
 */
const MERGE_CACHE_ENTRIES = 2000

/**
 * The vocabulary of an encoding, loaded at first use: a table takes a quarter of a second and some 60 MB, which a
 * process that never counts (most limits are decided by the size in bytes) does not pay.
 */
export function encodingApi(encoding: Encoding): EncodingApi {
  const known = loaded.get(encoding)
  if (known) return known
  const api = load(encoding)
  api.setMergeCacheSize(MERGE_CACHE_ENTRIES)
  loaded.set(encoding, api)
  return api
}

/** Literal names, so that bundlers and the dependency check see what is used. */
function load(encoding: Encoding): EncodingApi {
  return encoding === 'o200k_base'
    ? (require('gpt-tokenizer/encoding/o200k_base') as EncodingApi)
    : (require('gpt-tokenizer/encoding/cl100k_base') as EncodingApi)
}

/** Ids with a public cl100k_base tokenizer; an `openai/` prefix is ignored. Source: tiktoken's model table. */
const CL100K = /^(gpt-4(-|$)|gpt-3\.5|gpt-35-|text-embedding-(3|ada-002))/

/**
 * The encoding of a model. Exact for OpenAI's models (o200k_base since GPT-4o; gpt-oss uses the same vocabulary);
 * for families without a public tokenizer o200k_base is the estimate.
 */
export function encodingForModel(modelId: string): Encoding {
  return CL100K.test(modelId.replace(/^openai\//, '')) ? 'cl100k_base' : 'o200k_base'
}
