import { Socket } from 'node:net'
import pg from 'pg'

export interface Listener {
  /** Calls `handler` with each payload of the channel. */
  on(channel: string, handler: (payload: string) => void): void
  /**
   * Calls `handler` when the connection is lost, and after every reconnection: notifications may have been missed, so
   * caches are void.
   */
  onGap(handler: () => void): void
  close(): Promise<void>
}

interface ListenerLog {
  warn(fields: object, message: string): void
}

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000
/** Together, how long a connection may be dead without anybody noticing. */
const ASK_EVERY_MS = 1_500
const ANSWER_WITHIN_MS = 2_500
const CONNECT_WITHIN_MS = 5_000

/**
 * One connection that LISTENs for a whole process. A notification is a wake-up or an invalidation, never data
 * that exists nowhere else: a lost connection is re-made for ever and reported through onGap. A network that forgets a
 * connection tells neither end, and who only listens never finds out: so the server is asked every so often.
 * Errors: where it cannot be made the first time.
 */
export async function openListener(url: string, channels: readonly string[], log: ListenerLog): Promise<Listener> {
  const handlers = new Map<string, ((payload: string) => void)[]>()
  const gapHandlers: (() => void)[] = []
  let connection: Connection | undefined
  let closed = false
  let retryTimer: NodeJS.Timeout | undefined
  const gap = () => gapHandlers.forEach(handle => handle())

  const connect = async () => {
    const next = new Connection(url, {
      notified: (channel, payload) => handlers.get(channel)?.forEach(handle => handle(payload)),
      lost: error => lost(next, error),
    })
    await next.listen(channels)
    if (closed) return next.end()
    connection = next
  }

  const lost = (which: Connection, error: Error) => {
    if (closed || connection !== which) return
    connection = undefined
    log.warn({ err: { message: error.message } }, 'lost the LISTEN connection')
    gap()
    reconnect(FIRST_RETRY_MS)
  }

  const reconnect = (delayMs: number) => {
    retryTimer = setTimeout(() => {
      connect().then(gap, () => closed || reconnect(Math.min(delayMs * 2, LONGEST_RETRY_MS)))
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
      await connection?.end()
    },
  }
}

interface ConnectionEvents {
  notified(channel: string, payload: string): void
  lost(error: Error): void
}

/** One connection, until it is lost: it is then gone on this side too, whatever the network does. */
class Connection {
  private readonly socket = new Socket()
  private readonly client: pg.Client
  private readonly events: ConnectionEvents
  private timer: NodeJS.Timeout | undefined
  private isOver = false

  constructor(url: string, events: ConnectionEvents) {
    this.events = events
    this.client = new pg.Client({
      connectionString: url,
      application_name: 'ipop-listener',
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_WITHIN_MS,
      query_timeout: ANSWER_WITHIN_MS,
      stream: () => this.socket,
    })
    this.client.on('notification', ({ channel, payload }) => events.notified(channel, payload ?? ''))
    this.client.on('error', error => this.lose(error))
    this.client.on('end', () => this.lose(new Error('the connection ended')))
  }

  /** Errors: where the server cannot be reached, or does not answer in time. */
  async listen(channels: readonly string[]): Promise<void> {
    try {
      await this.client.connect()
      for (const channel of channels) await this.client.query(`LISTEN ${pg.escapeIdentifier(channel)}`)
      this.askLater()
    } catch (error) {
      this.lose(error as Error)
      throw error
    }
  }

  async end(): Promise<void> {
    this.isOver = true
    clearTimeout(this.timer)
    const late = setTimeout(() => this.socket.destroy(), ANSWER_WITHIN_MS)
    await this.client.end().catch(() => undefined)
    clearTimeout(late)
  }

  private askLater(): void {
    if (this.isOver) return
    this.timer = setTimeout(() => {
      this.client.query('SELECT 1').then(
        () => this.askLater(),
        (error: unknown) => this.lose(error as Error),
      )
    }, ASK_EVERY_MS)
  }

  private lose(error: Error): void {
    this.isOver = true
    clearTimeout(this.timer)
    this.socket.destroy()
    this.events.lost(error)
  }
}
