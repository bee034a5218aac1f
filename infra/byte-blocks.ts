const BLOCK_BYTES = 1024 * 1024

/**
 * Bytes copied as they come into blocks of memory of their own, which can be moved to a thread: putting a large body
 * together at its end, and copying it there, would hold the event loop twice.
 */
export class ByteBlocks {
  private readonly full: Uint8Array<ArrayBuffer>[] = []
  private last = new Uint8Array(BLOCK_BYTES)
  private used = 0

  add(part: Uint8Array): void {
    for (let from = 0; from < part.length;) {
      if (this.used === BLOCK_BYTES) this.next()
      const some = part.subarray(from, from + BLOCK_BYTES - this.used)
      this.last.set(some, this.used)
      this.used += some.length
      from += some.length
    }
  }

  /** All of it, in order. */
  get blocks(): Uint8Array<ArrayBuffer>[] {
    return [...this.full, this.last.subarray(0, this.used)]
  }

  private next(): void {
    this.full.push(this.last)
    this.last = new Uint8Array(BLOCK_BYTES)
    this.used = 0
  }
}
