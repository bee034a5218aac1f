/** Bits in the order in which a decoder reads them, with H.264's Exp-Golomb codes (ITU-T H.264 section 9.1). */
export class BitWriter {
  readonly #bytes: number[] = []
  #pending = 0
  #count = 0

  bits(value: number, length: number): this {
    for (let position = length - 1; position >= 0; position--) this.#bit((value >>> position) & 1)
    return this
  }

  /** ue(v) */
  unsigned(value: number): this {
    const length = Math.floor(Math.log2(value + 1))
    return this.bits(0, length).bits(value + 1, length + 1)
  }

  /** se(v) */
  signed(value: number): this {
    return this.unsigned(value > 0 ? value * 2 - 1 : value * -2)
  }

  /** Whole bytes; the next bit must begin one. */
  bytes(bytes: Uint8Array): this {
    for (const byte of bytes) this.#bytes.push(byte)
    return this
  }

  align(bit: 0 | 1 = 0): this {
    while (this.#count > 0) this.#bit(bit)
    return this
  }

  /** rbsp_trailing_bits */
  end(): Buffer {
    this.#bit(1)
    this.align()
    return Buffer.from(this.#bytes)
  }

  #bit(bit: number): void {
    this.#pending = (this.#pending << 1) | bit
    this.#count += 1
    if (this.#count < 8) return
    this.#bytes.push(this.#pending)
    this.#pending = 0
    this.#count = 0
  }
}
