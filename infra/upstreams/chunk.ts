type Fields = Record<string, unknown>

/** What an upstream says a call has used. `cached` and `cacheWrites` are part of `input`, `reasoning` of `output`. */
export interface UpstreamUsage {
  input: number
  output: number
  cached?: number | undefined
  cacheWrites?: number | undefined
  reasoning?: number | undefined
}

/** What a chunk of an upstream's stream tells, in its normal form. */
export interface Chunk {
  /** In the contract's fields: index, delta, finish_reason, logprobs. None where the chunk holds usage alone. */
  readonly choices: Fields[]
  /** The choices as JSON, where that is known without writing it. */
  readonly choicesJson: string | undefined
  /** All texts in it, for counting tokens where the upstream gives no usage. */
  readonly text: string
  /** The upstream's figures as they stand; undefined where the chunk says nothing of them. */
  readonly usage: UpstreamUsage | undefined
}
