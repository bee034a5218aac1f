import pg from 'pg'

export interface Listener {
  /** Calls `handler` with each payload of the channel. */
  on(channel: string, handler: (payload: string) => void): void
  /** Calls `handler` after every reconnection: notifications may have been missed, so caches are void. */
  onGap(handler: () => void): void
  close(): Promise<void>
}

interface ListenerLog {
  warn(fields: object, message: string): void
}

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000

/**
 * One connection that LISTENs for a whole process. A notification is a wake-up or an invalidation, never data
 * that exists nowhere else: a lost connection is re-made for ever and reported through onGap.
 */
export async function openListener(url: string, channels: readonly string[], log: ListenerLog): Promise<Listener> {
  const handlers = new Map<string, ((payload: string) => void)[]>()
  const gapHandlers: (() => void)[] = []
  let client: pg.Client | undefined
  let closed = false
  let retryTimer: NodeJS.Timeout | undefined

  const connect = async () => {
    const next = new pg.Client({ connectionString: url, application_name: 'ipop-listener', keepAlive: true })
    next.on('notification', ({ channel, payload }) => handlers.get(channel)?.forEach(handle => handle(payload ?? '')))
    next.on('error', error => lost(next, error))
    next.on('end', () => lost(next, new Error('the connection ended')))
    await next.connect()
    for (const channel of channels) await next.query(`LISTEN ${pg.escapeIdentifier(channel)}`)
    client = next
  }

  const lost = (which: pg.Client, error: Error) => {
    if (closed || client !== which) return
    client = undefined
    log.warn({ err: { message: error.message } }, 'lost the LISTEN connection')
    gapHandlers.forEach(handle => handle())
    reconnect(FIRST_RETRY_MS)
  }

  const reconnect = (delayMs: number) => {
    retryTimer = setTimeout(() => {
      connect().then(
        () => gapHandlers.forEach(handle => handle()),
        () => closed || reconnect(Math.min(delayMs * 2, LONGEST_RETRY_MS)),
      )
    }, delayMs)
  }

  await connect()
  return {
    on: (channel, handler) => {
      if (!channels.includes(channel)) throw new Error(`not listening on ${channel}`)
      handlers.set(channel, [...(handlers.get(channel) ?? []), handler])
    },
    onGap: handler => void gapHandlers.push(handler),
    close: async () => {
      closed = true
      clearTimeout(retryTimer)
      await client?.end()
    },
  }
}
