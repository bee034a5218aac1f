import { isFields, type Fields } from '../json.ts'
import { finishOf, settledFinish } from './finish.ts'
import { isFilled, normalMessage, textOfMessage } from './message.ts'
import { SurrogateJoiner, storable } from '../text.ts'
import { CallAssembly } from './tool-calls.ts'

/** What is told of a choice, in the contract's fields, and all texts in it. */
export interface NormalChoice {
  choice: Fields
  text: string
}

/** One choice of a stream, from its first delta to its end. */
export class StreamedChoice {
  /** Whether a text, a call or a picture came. */
  hasOutput = false
  hasFinished = false
  private hasBegun: boolean
  private readonly index: number
  private readonly joiner = new SurrogateJoiner()
  private readonly calls = new CallAssembly()

  constructor(index: number, hasBegun = false) {
    this.index = index
    this.hasBegun = hasBegun
  }

  /** Whether half a letter waits for its other half. */
  get isHolding(): boolean {
    return this.joiner.isHolding
  }

  /**
   * The choice as it is told; undefined where it says nothing. Only its first end is told.
   * `isSuspect`: whether its texts have to be looked through. Errors: UpstreamFailure where it ended with one.
   */
  add(raw: Fields, isSuspect: boolean): NormalChoice | undefined {
    const finish = finishOf(raw['finish_reason'])
    const isEnd = finish !== undefined && !this.hasFinished
    const delta = this.deltaOf(raw['delta'] ?? raw['message'], isSuspect, isEnd)
    const text = textOfMessage(delta)
    if (text !== '' || isFilled(delta)) this.hasOutput = true
    if (isEnd) this.hasFinished = true
    else if (isSilent(delta, this.hasBegun) && (raw['logprobs'] ?? null) === null) return undefined
    const choice: Fields = { index: this.index, delta: this.withRole(delta) }
    choice['finish_reason'] = isEnd ? settledFinish(finish, this.calls.hasCalls) : null
    if (raw['logprobs'] !== undefined) choice['logprobs'] = isSuspect ? storable(raw['logprobs']) : raw['logprobs']
    return { choice, text }
  }

  /** Ends a choice that was never told how it ended. */
  end(): NormalChoice | undefined {
    return this.hasFinished ? undefined : this.add({ delta: {}, finish_reason: 'stop' }, false)
  }

  private deltaOf(raw: unknown, isSuspect: boolean, isEnd: boolean): Fields {
    const delta = normalMessage(isFields(raw) ? raw : {})
    const called = this.withCalls(delta, isEnd)
    return isSuspect || this.joiner.isHolding ? this.joiner.join(called, isEnd) : called
  }

  private withCalls(delta: Fields, isEnd: boolean): Fields {
    if (delta['tool_calls'] === undefined && !(isEnd && this.calls.hasCalls)) return delta
    const { tool_calls: fragments, ...rest } = delta
    const emitted = Array.isArray(fragments) ? this.calls.add(fragments) : []
    const all = isEnd ? withEmpty(emitted, this.calls.end()) : emitted
    return all.length === 0 ? rest : { ...rest, tool_calls: all }
  }

  /** Clients that collect a stream want to be told whose it is. */
  private withRole(delta: Fields): Fields {
    if (this.hasBegun) return delta
    this.hasBegun = true
    return typeof delta['role'] === 'string' ? delta : { role: 'assistant', ...delta }
  }
}

/** The number of a choice: its place in the list where it has none. */
export const indexOf = ({ index }: Fields, position: number): number =>
  Number.isSafeInteger(index) && (index as number) >= 0 ? (index as number) : position

/** A call's empty arguments come with the rest of it, where that is told in the same delta. */
function withEmpty(emitted: Fields[], empty: Fields[]): Fields[] {
  const all = [...emitted]
  for (const fragment of empty) {
    const position = all.findLastIndex(({ index }) => index === fragment['index'])
    const before = all[position]
    if (before === undefined) all.push(fragment)
    else all[position] = { ...before, function: { ...(before['function'] as Fields), arguments: '{}' } }
  }
  return all
}

/** Whether a delta adds nothing: a role alone does at the beginning. */
function isSilent(delta: Fields, hasBegun: boolean): boolean {
  return Object.entries(delta).every(
    ([name, value]) => value === null || (hasBegun && name === 'role') || (value === '' && hasBegun),
  )
}
