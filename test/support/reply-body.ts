import type { ReplyBody } from '../../infra/upstreams/exchange.ts'

/** A reply's body that comes in these parts, and then ends. */
export function replyBodyOf(parts: readonly Uint8Array[]): ReplyBody {
  const left = parts.map(part => Buffer.from(part))
  return {
    read: () => Promise.resolve(left.shift()),
    whole: () => Promise.resolve(Buffer.concat(left.splice(0)).toString('utf8')),
    finish: () => undefined,
    destroy: () => undefined,
  }
}

/** The same, but that it never ends, until it is broken off. */
export function endlessBodyOf(parts: readonly Uint8Array[]): ReplyBody {
  const body = replyBodyOf(parts)
  let broken: (error: Error) => void = () => undefined
  const silence = new Promise<never>((_, reject) => (broken = reject))
  return {
    ...body,
    read: async () => (await body.read()) ?? silence,
    destroy: () => broken(new Error('broken off')),
  }
}
