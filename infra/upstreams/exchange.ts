import type { Dispatcher } from 'undici'
import { ByteBlocks } from '../byte-blocks.ts'
import { LARGE_CHARACTERS } from '../large-json.ts'
import { UpstreamFailure, type ReplyHeaders } from './upstream.ts'

/** Read ahead of a slow reader before the upstream is held back. */
const HIGH_WATER_BYTES = 256 * 1024
const WHOLE_LIMIT_BYTES = 64 * 1024 * 1024
/** How long the rest of a reply, which nobody reads, may take. */
const FINISH_MS = 1_000

/** A reply's body as it comes in. */
export interface ReplyBody {
  /** What has come since the last call, as soon as there is any; undefined at the end. Rejects where it breaks off. */
  read(): Promise<Buffer | undefined>
  /**
   * All that is still to come, as UTF-8; as its bytes where it is too large to be worked on here.
   * Errors: UpstreamFailure where it is too large for anything, or whatever broke it off.
   */
  whole(): Promise<string | Uint8Array<ArrayBuffer>[]>
  /** Drops what little is still to come, so that the connection is kept for the next request. */
  finish(): void
  /** Breaks the exchange off, where it is not over. */
  destroy(): void
}

export interface IncomingReply {
  status: number
  headers: ReplyHeaders
  body: ReplyBody
}

/**
 * Sends a request over undici's dispatcher. Resolves at the reply's head. The signal ends it at any time.
 * Errors: undici's, or the signal's reason.
 */
export function sendRequest(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  signal: AbortSignal,
): Promise<IncomingReply> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error)
    dispatcher.dispatch(request, new Exchange(signal, resolve, reject))
  })
}

/** A body's bytes as they come. Ending early breaks the exchange off. */
export async function* bytesOf(body: ReplyBody): AsyncGenerator<Buffer, void> {
  try {
    for (let part = await body.read(); part !== undefined; part = await body.read()) yield part
  } finally {
    body.destroy()
  }
}

/** One request and its reply, told by undici's callbacks: most replies are there whole before anybody reads. */
class Exchange implements Dispatcher.DispatchHandler, ReplyBody {
  private arrived: Buffer[] = []
  private arrivedBytes = 0
  private isWhole = false
  private large: ByteBlocks | undefined
  private isDropped = false
  private hasEnded = false
  private failure: Error | undefined
  private controller: Dispatcher.DispatchController | undefined
  private wake: (() => void) | undefined
  private readonly signal: AbortSignal
  private readonly resolve: (reply: IncomingReply) => void
  private readonly reject: (error: Error) => void

  constructor(signal: AbortSignal, resolve: (reply: IncomingReply) => void, reject: (error: Error) => void) {
    this.signal = signal
    this.resolve = resolve
    this.reject = reject
    signal.addEventListener('abort', this.onAbort)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.failure !== undefined) controller.abort(this.failure)
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return
    const get = (name: string) => headers[name]?.toString()
    this.resolve({ status, headers: { get }, body: this })
  }

  onResponseData(controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (this.isDropped) return
    this.arrivedBytes += bytes.length
    if (this.large !== undefined) this.large.add(bytes)
    else this.arrived.push(bytes)
    if (this.isWhole) return this.boundWhole()
    if (this.arrivedBytes > HIGH_WATER_BYTES) controller.pause()
    this.wake?.()
  }

  onResponseEnd(): void {
    this.hasEnded = true
    this.over()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.failure ??= error
    this.over()
  }

  async read(): Promise<Buffer | undefined> {
    const isSilent = this.arrived.length === 0 && !this.hasEnded && this.failure === undefined
    if (isSilent) await new Promise<void>(resolve => (this.wake = resolve))
    if (this.arrived.length > 0) return this.take()
    if (this.failure !== undefined) throw this.failure
    return undefined
  }

  async whole(): Promise<string | Uint8Array<ArrayBuffer>[]> {
    this.isWhole = true
    if (this.controller?.paused === true) this.controller.resume()
    if (!this.hasEnded && this.failure === undefined) await new Promise<void>(resolve => (this.wake = resolve))
    if (this.failure !== undefined) throw this.failure
    return this.large?.blocks ?? this.take().toString('utf8')
  }

  finish(): void {
    if (this.hasEnded) return
    this.isDropped = true
    this.controller?.resume()
    const tooLate = setTimeout(() => this.destroy(), FINISH_MS).unref()
    this.wake = () => clearTimeout(tooLate)
  }

  destroy(): void {
    if (!this.hasEnded) this.interrupt(new Error('the reply is not wanted'))
  }

  private boundWhole(): void {
    if (this.arrivedBytes > WHOLE_LIMIT_BYTES)
      this.interrupt(new UpstreamFailure('unavailable', 'the reply is too large'))
    if (this.large !== undefined || this.arrivedBytes <= LARGE_CHARACTERS) return
    this.large = new ByteBlocks()
    for (const part of this.arrived) this.large.add(part)
    this.arrived = []
  }

  private readonly onAbort = (): void => this.interrupt(this.signal.reason as Error)

  private take(): Buffer {
    const [first = Buffer.alloc(0), ...others] = this.arrived
    const bytes = others.length === 0 ? first : Buffer.concat(this.arrived)
    this.arrived = []
    this.arrivedBytes = 0
    if (this.controller?.paused === true) this.controller.resume()
    return bytes
  }

  /** Before it has a connection there is nothing to abort yet: that follows in onRequestStart. */
  private interrupt(reason: Error): void {
    this.failure ??= reason
    this.controller?.abort(this.failure)
    this.over()
  }

  private over(): void {
    this.signal.removeEventListener('abort', this.onAbort)
    if (this.failure !== undefined) this.reject(this.failure)
    this.wake?.()
  }
}
