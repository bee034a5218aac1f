/** Bytes up to a limit. */
export class CappedBytes {
  readonly #parts: Buffer[] = []
  readonly #limitBytes: number
  #sizeBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** False once there are more than the limit; what comes then is not kept. */
  take(part: Buffer): boolean {
    this.#sizeBytes += part.length
    if (this.#sizeBytes > this.#limitBytes) return false
    this.#parts.push(part)
    return true
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

const LAST_BYTES = 16 * 1024

/** The end of what came. */
export class LastBytes {
  #bytes = Buffer.alloc(0)

  take(part: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, part.subarray(-LAST_BYTES)]).subarray(-LAST_BYTES)
  }

  get text(): string {
    return this.#bytes.toString('utf8')
  }
}
