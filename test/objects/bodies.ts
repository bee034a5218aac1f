import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

const CHUNK_BYTES = 64 * 1024

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

/** The same chunk again and again: the stream itself makes no garbage. */
export function repeatedStream(sizeBytes: number): Readable {
  const chunk = Buffer.alloc(CHUNK_BYTES, 7)
  let left = sizeBytes
  return new Readable({
    read() {
      const size = Math.min(left, CHUNK_BYTES)
      left -= size
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

/** Waits until the condition holds. Errors: after 20 s. */
export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition did not come to hold within 20 s')
    await delay(10)
  }
}

/** How much the process's resident memory grows at most while the work goes on. */
export async function memoryGrowthOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage.rss()
  let most = before
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return Math.max(most, process.memoryUsage.rss()) - before
}

function patternChunk(index: number): Buffer {
  const chunk = Buffer.alloc(CHUNK_BYTES, index % 251)
  chunk.writeUInt32BE(index)
  return chunk
}
