import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const CHUNK_BYTES = 64 * 1024
const CHUNKS_A_LOOK = 320

interface PatternOptions {
  /** After this many bytes the stream says nothing more. */
  stallsAt?: number
  /** After this many bytes the stream fails as a client's does that hangs up, with the message `source failed`. */
  failsAt?: number
}

/** `sizeBytes` bytes, different in every chunk of 64 KiB. */
export function patternStream(sizeBytes: number, { stallsAt, failsAt }: PatternOptions = {}): Readable {
  let sent = 0
  return new Readable({
    read() {
      if (stallsAt !== undefined && sent >= stallsAt) return
      if (failsAt !== undefined && sent >= failsAt) {
        this.destroy(Object.assign(new Error('source failed'), { code: 'ECONNRESET' }))
        return
      }
      if (sent >= sizeBytes) {
        this.push(null)
        return
      }
      const chunk = patternChunk(sent / CHUNK_BYTES).subarray(0, sizeBytes - sent)
      sent += chunk.length
      this.push(chunk)
    },
  })
}

/** The same chunk again and again: the stream itself takes no memory. */
export function repeatedStream(sizeBytes: number, onChunk: () => void = () => undefined): Readable {
  const chunk = Buffer.alloc(CHUNK_BYTES, 7)
  let left = sizeBytes
  return new Readable({
    read() {
      const size = Math.min(left, CHUNK_BYTES)
      left -= size
      onChunk()
      this.push(size === 0 ? null : chunk.subarray(0, size))
    },
  })
}

export function patternBytes(sizeBytes: number): Buffer {
  const chunks = Array.from({ length: Math.ceil(sizeBytes / CHUNK_BYTES) }, (_, i) => patternChunk(i))
  return Buffer.concat(chunks).subarray(0, sizeBytes)
}

export async function bytesOf(body: Readable): Promise<Buffer> {
  return Buffer.concat(await body.toArray())
}

export async function textOf(body: Readable): Promise<string> {
  return (await bytesOf(body)).toString()
}

export async function sha256Of(body: Readable): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of body) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/**
 * How much more memory than before is in use at most, of the looks that the work has a chunk take.
 * Garbage does not count, and what other work left is not taken for this one's: when it is collected is V8's choice.
 */
export async function memoryHeldBy(work: (look: () => void) => Promise<unknown>): Promise<number> {
  const before = memoryInUse()
  let most = before
  let chunks = 0
  await work(() => {
    if (chunks++ % CHUNKS_A_LOOK === 0) most = Math.max(most, memoryInUse())
  })
  return most - before
}

function memoryInUse(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Twice: the buffers found dead by a collection are given back before the next one. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  gc()
}

function patternChunk(index: number): Buffer {
  const chunk = Buffer.alloc(CHUNK_BYTES, index % 251)
  chunk.writeUInt32BE(index)
  return chunk
}
