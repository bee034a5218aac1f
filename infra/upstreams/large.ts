import { isLarge } from '../large-json.ts'
import { isFields, type Fields } from './json.ts'
import { UpstreamFailure } from './upstream.ts'

/** Whose turn it is. */
interface Turn {
  tenant: string
  signal: AbortSignal
}

/** What JSON is written and read by that would hold the event loop: in threads, in its tenant's turn. */
export interface LargeJson {
  write(turn: Turn, value: object): Promise<Uint8Array>
  /** The value of a text in UTF-8, its texts as they can be stored; undefined where it is none, or holds too much. */
  read(turn: Turn, blocks: Uint8Array<ArrayBuffer>[]): Promise<unknown>
}

interface Call {
  tenant?: string
  signal: AbortSignal
}

const turnOf = ({ tenant = '', signal }: Call): Turn => ({ tenant, signal })

/** A body as it leaves. Errors: UpstreamFailure `busy`. */
export const written = (large: LargeJson, call: Call, body: object): string | Promise<Uint8Array> =>
  isLarge(body) ? large.write(turnOf(call), body).catch(busy) : JSON.stringify(body)

/** The object that a large reply is. Errors: UpstreamFailure. */
export async function objectOf(large: LargeJson, call: Call, blocks: Uint8Array<ArrayBuffer>[]): Promise<Fields> {
  const value = await large.read(turnOf(call), blocks).catch(busy)
  if (isFields(value)) return value
  throw new UpstreamFailure('unavailable', 'the reply is not a JSON object, or holds too much')
}

function busy(cause: unknown): never {
  throw new UpstreamFailure('busy', 'no thread had time for so large a body', { cause })
}
