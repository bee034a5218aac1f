import { SigV4Failure } from './failure.ts'

/** What comes out of a body in chunks, in its order. */
export type ChunkPart =
  | { kind: 'begin'; sizeBytes: number; signature: string | undefined }
  | { kind: 'data'; bytes: Buffer }
  | { kind: 'end' }

const MOST_LINE_BYTES = 512
const MOST_TRAILER_BYTES = 8 * 1024
const CHUNK_LINE = /^([0-9a-fA-F]{1,10})(?:;chunk-signature=([0-9a-f]{64}))?$/
const CR = 0x0d
const LF = 0x0a

type State = 'line' | 'data' | 'after_data' | 'trailer'

/**
 * Reads `aws-chunked` (chunks of `size[;chunk-signature=…]`, their bytes, and a trailer behind the empty one) however
 * its bytes are split. Keeps no more than a line or the trailer. Errors: IncompleteBody; InvalidRequest.
 */
export class ChunkReader {
  #state: State = 'line'
  #kept = Buffer.alloc(0)
  #left = 0

  /** The trailer's fields, when all has come. */
  finish(): Map<string, string> {
    if (this.#state !== 'trailer') throw new SigV4Failure('IncompleteBody')
    return trailerOf(this.#kept.toString('latin1'))
  }

  /** What the bytes make, with those that came before. */
  *take(part: Buffer): Generator<ChunkPart> {
    let rest = part
    while (rest.length > 0) {
      if (this.#state === 'data') {
        const bytes = rest.subarray(0, this.#left)
        rest = rest.subarray(bytes.length)
        this.#left -= bytes.length
        yield { kind: 'data', bytes }
        if (this.#left === 0) yield this.#enter('after_data', { kind: 'end' })
      } else if (this.#state === 'trailer') {
        rest = this.#keep(rest, MOST_TRAILER_BYTES)
      } else {
        const end = rest.indexOf(LF)
        const line = end === -1 ? rest : rest.subarray(0, end + 1)
        rest = rest.subarray(line.length)
        this.#keep(line, MOST_LINE_BYTES)
        if (end !== -1) yield* this.#line()
      }
    }
  }

  #enter<Part extends ChunkPart>(state: State, part: Part): Part {
    this.#state = state
    return part
  }

  #keep(bytes: Buffer, mostBytes: number): Buffer {
    if (this.#kept.length + bytes.length > mostBytes)
      throw new SigV4Failure('InvalidRequest', 'A line between the chunks of the body is too long.')
    this.#kept = Buffer.concat([this.#kept, bytes])
    return Buffer.alloc(0)
  }

  *#line(): Generator<ChunkPart> {
    const line = this.#kept
    this.#kept = Buffer.alloc(0)
    if (line.at(-2) !== CR) throw new SigV4Failure('InvalidRequest', 'The chunks of the body are not well-formed.')
    const text = line.toString('latin1', 0, line.length - 2)
    if (this.#state === 'after_data' && text === '') return void (this.#state = 'line')
    const [, size, signature] = (this.#state === 'line' && CHUNK_LINE.exec(text)) || []
    if (size === undefined) throw new SigV4Failure('InvalidRequest', 'The chunks of the body are not well-formed.')
    this.#left = Number.parseInt(size, 16)
    yield { kind: 'begin', sizeBytes: this.#left, signature }
    if (this.#left > 0) this.#state = 'data'
    else yield this.#enter('trailer', { kind: 'end' })
  }
}

/** Lines of `name:value`; empty ones stand before a signature and at the end. */
function trailerOf(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.split('\n').map(one => one.trim())) {
    if (line === '') continue
    const [, name, value] = /^([\w-]{1,128}):(.*)$/.exec(line) ?? []
    const key = name?.toLowerCase()
    if (key === undefined || fields.has(key)) throw new SigV4Failure('MalformedTrailerError')
    fields.set(key, value?.trim() ?? '')
  }
  return fields
}
