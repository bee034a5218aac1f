import { afterAll, describe, expect, test } from '@jest/globals'
import { createLogReaders } from '../../../domain/durable/event-log/event-log.reader.ts'
import type { LogEvent, LogWriter } from '../../../domain/durable/event-log/event-log.rules.ts'
import { appendIn, claimLog, openLog } from '../../../domain/durable/event-log/event-log.service.ts'
import { LOG_APPENDS } from '../../../domain/durable/event-log/event-log.sql.ts'
import { newRequestId } from '../../../domain/core/ids.ts'
import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { openListener } from '../../../infra/postgres/listener.ts'
import { testDatabase } from '../../support/database.ts'
import { silentLog } from '../../support/jobs.ts'
import { testStack } from '../../support/stack.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const FAR = 1_000_000
const ends: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const end of ends) await end()
})

/** Readers as a process has them, and how often they asked the database. */
async function countedReaders() {
  let queries = 0
  const counted = {
    ...db,
    query: (...args: Parameters<Database['query']>) => {
      queries += 1
      return db.query(...args)
    },
  } as Database
  const listener = await openListener(testStack().databaseUrl, [LOG_APPENDS], silentLog)
  ends.push(() => listener.close())
  return { readers: createLogReaders({ db: counted, listener }), asked: () => queries }
}

/** A log with its first event, and its writer's appends of one event each. */
async function newLog() {
  const writer: LogWriter = { logId: newRequestId(), run: 1, attempt: 1 }
  await inTransaction(db, tx => openLog(tx, writer.logId, 'user_of_a_test', { type: 'first', data: {} }))
  await claimLog(db, writer)
  let step = 0
  const append = () => {
    step += 1
    const events = [{ type: 'more', data: { step } }]
    return inTransaction(db, tx => appendIn(tx, { ...writer, step, events, closes: false }))
  }
  return { logId: writer.logId, append }
}

/** What a reader has been given so far. */
function reading(events: AsyncIterable<LogEvent>): { seen: number[]; over: Promise<void> } {
  const seen: number[] = []
  const read = async () => {
    for await (const event of events) seen.push(event.seq)
  }
  return { seen, over: read() }
}

describe('a reader beyond the end of a log', () => {
  const APPENDS = 20
  /** Two readers begin with a query or two, an append is one look; the rest are the looks of every two seconds. */
  const MOST_QUERIES = 5 + 2 * APPENDS + 20

  test.each([
    ['that came first', [FAR, 0]],
    ['that came last', [0, FAR]],
    ['of which there are many', [FAR, FAR + 1, 0, FAR, 2 ** 31]],
  ])('%s asks no more than others do, and holds back nobody', async (_which, starts) => {
    const { readers, asked } = await countedReaders()
    const { logId, append } = await newLog()
    const stop = new AbortController()
    const read = starts.map(start => ({ start, ...reading(readers.follow(logId, start, stop.signal)) }))
    const [near] = read.filter(({ start }) => start === 0)
    for (let count = 1; count <= APPENDS; count += 1) {
      await append()
      await until(async () => near?.seen.length === count + 1)
    }
    expect(asked()).toBeLessThanOrEqual(MOST_QUERIES + starts.length)
    stop.abort()
    await Promise.all(read.map(({ over }) => over))
    const all = Array.from({ length: APPENDS + 1 }, (_, index) => index + 1)
    for (const { start, seen } of read) expect(seen).toEqual(start === 0 ? all : [])
  })

  test('is given what comes after its number', async () => {
    const { readers } = await countedReaders()
    const { logId, append } = await newLog()
    const stop = new AbortController()
    const ahead = reading(readers.follow(logId, 4, stop.signal))
    const all = reading(readers.follow(logId, 0, stop.signal))
    for (let count = 0; count < 5; count += 1) await append()
    await until(async () => all.seen.length === 6 && ahead.seen.length === 2)
    expect([all.seen, ahead.seen]).toEqual([
      [1, 2, 3, 4, 5, 6],
      [5, 6],
    ])
    stop.abort()
    await Promise.all([all.over, ahead.over])
  })

  test('waits without asking where nothing happens, and where there is no such log', async () => {
    const { readers, asked } = await countedReaders()
    const { logId } = await newLog()
    const stop = new AbortController()
    const starts = [FAR, 1, FAR]
    const read = [logId, newRequestId()].flatMap(id =>
      starts.map(start => reading(readers.follow(id, start, stop.signal))),
    )
    // Another log's readers come and go meanwhile.
    for (let round = 0; round < 10; round += 1) {
      const other = await newLog()
      const reader = new AbortController()
      const { seen, over } = reading(readers.follow(other.logId, 0, reader.signal))
      await until(async () => seen.length === 1)
      reader.abort()
      await over
    }
    expect(asked()).toBeLessThanOrEqual(2 + read.length + 10 * 3 + 10)
    stop.abort()
    await Promise.all(read.map(({ over }) => over))
  })
})
