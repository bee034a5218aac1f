/**
 * Tokens of a call. `cached` and `cacheWrites` are part of `input`, `reasoning` of `output`; undefined where the
 * upstream did not say.
 */
export interface TokenUsage {
  input: number
  output: number
  cached?: number | undefined
  cacheWrites?: number | undefined
  reasoning?: number | undefined
}
