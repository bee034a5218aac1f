import type { Log } from '../../../infra/log.ts'
import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import type { Listener } from '../../../infra/postgres/listener.ts'
import { createLoop, type Loop } from '../../../infra/loop.ts'
import { EVENTS, takeEvents, type EventRow } from './events.sql.ts'

/** A feature that acts on events, by writing down what is to be done. */
export interface EventSubscriber {
  /**
   * Writes in the transaction that marks the events as dispatched: each once, in the order of its stream. It waits for
   * nothing outside the database; an error has the same events come again.
   */
  enqueue(tx: Transaction, events: readonly EventRow[]): Promise<void>
}

interface Deps {
  db: Database
  listener: Listener
  log: Log
  subscribers: readonly EventSubscriber[]
}

const STREAMS_AT_ONCE = 20
const EVENTS_OF_STREAM = 50
const LOOK_EVERY_MS = 2_000

/** Gives events to the subscribers, in as many processes as there are: each claims what no other has. */
export function startDispatch(deps: Deps): Loop {
  const loop = createLoop({ name: 'events', everyMs: LOOK_EVERY_MS, log: deps.log, turn: () => dispatchSome(deps) })
  deps.listener.on(EVENTS, () => loop.wake())
  deps.listener.onGap(() => loop.wake())
  return loop
}

/** True where there may be more. */
async function dispatchSome({ db, subscribers }: Deps): Promise<boolean> {
  if (subscribers.length === 0) return false
  return inTransaction(db, async tx => {
    const events = await takeEvents(tx, STREAMS_AT_ONCE, EVENTS_OF_STREAM)
    if (events.length === 0) return false
    for (const subscriber of subscribers) await subscriber.enqueue(tx, events)
    return true
  })
}
