import { afterEach, describe, expect, test } from '@jest/globals'
import { cancelJob } from '../../../domain/durable/jobs/jobs.service.ts'
import { BATCH_JOBS } from '../../../domain/work/batches/batch.rules.ts'
import { TURN_JOBS } from '../../../domain/work/turns/turn.rules.ts'
import { VIDEO_JOBS } from '../../../domain/work/videos/video.rules.ts'
import type { Loop } from '../../../infra/loop.ts'
import { startReconciler } from '../../../domain/durable/jobs/reconciler.ts'
import { startRelay } from '../../../domain/durable/jobs/relay.ts'
import { inTransaction } from '../../../infra/postgres/database.ts'
import type { WorkflowClient } from '../../../infra/temporal/workflow-client.ts'
import { JOB_KINDS, endingWith, jobBench, scriptedWorkflows } from '../../support/jobs.ts'
import { until } from '../../support/until.ts'

const bench = jobBench()
const loops: Loop[] = []
afterEach(async () => {
  await Promise.all(loops.splice(0).map(loop => loop.stop()))
  await bench.db.query(`UPDATE jobs SET state = 'ended', ended_at = now() WHERE state = 'open'`)
  await bench.db.query('UPDATE job_commands SET delivered_at = now() WHERE delivered_at IS NULL')
})

const { running: RUNNING } = BATCH_JOBS.slots

function relay(workflows: WorkflowClient): void {
  loops.push(startRelay({ ...bench, workflows, jobs: endingWith(bench) }))
}
const cancel = (id: string) => inTransaction(bench.db, tx => cancelJob(tx, id))
const jobsOf = async (userId: string, count: number): Promise<string[]> => {
  const ids: string[] = []
  for (let made = 0; made < count; made += 1) ids.push(await bench.newJob({ userId }))
  return ids
}
const startsOf = (calls: readonly string[]) =>
  calls.filter(call => call.startsWith('start')).map(call => call.replace(/^start (.*)\.1$/, '$1'))
const untilCarried = () =>
  until(async () => (await bench.db.query('SELECT 1 FROM job_commands WHERE delivered_at IS NULL')).rowCount === 0)
const slotsOf = (ids: string[]) => Promise.all(ids.map(async id => (await bench.job(id)).slot))

describe('jobs of an account', () => {
  test('beyond its slots wait in Postgres, and each that ends gives its slot to the oldest', async () => {
    const workflows = scriptedWorkflows({})
    relay(workflows)
    const ids = await jobsOf(await bench.newUser(), RUNNING + 3)
    await untilCarried()
    expect(startsOf(workflows.calls)).toEqual(ids.slice(0, RUNNING))
    expect(await slotsOf(ids.slice(RUNNING))).toEqual(['waiting', 'waiting', 'waiting'])
    for (let more = 1; more <= 3; more += 1) {
      await bench.endJob({ resourceId: ids[more - 1] ?? '', run: 1 })
      await until(async () => startsOf(workflows.calls).length === RUNNING + more)
    }
    expect(startsOf(workflows.calls)).toEqual(ids)
  })

  test('do not take the slots of its other kinds, or of others', async () => {
    const workflows = scriptedWorkflows({})
    relay(workflows)
    const userId = await bench.newUser()
    const ids = await jobsOf(userId, RUNNING + 1)
    const others = [await bench.newJob({ userId, kind: TURN_JOBS }), await bench.newJob()]
    await untilCarried()
    expect(new Set(startsOf(workflows.calls))).toEqual(new Set([...ids.slice(0, RUNNING), ...others]))
  })

  test('that are cancelled while they wait end at once, without a workflow', async () => {
    const workflows = scriptedWorkflows({ onCall: async () => undefined })
    relay(workflows)
    const ids = await jobsOf(await bench.newUser(), RUNNING + 2)
    const [first = '', second = ''] = ids.slice(RUNNING)
    await cancel(first)
    await cancel(first)
    await until(async () => (await bench.job(first)).state === 'ended')
    expect(await bench.job(first)).toMatchObject({ outcome: 'cancelled', slot: 'withdrawn' })
    expect(await bench.job(second)).toMatchObject({ state: 'open', slot: 'waiting' })
    expect(workflows.calls.filter(call => call.includes(first))).toEqual([])
    expect((await bench.commands(first)).map(({ command }) => command)).toEqual(['end'])
  })

  test('that are cancelled as they get their slot are started, and cancelled after', async () => {
    const ids = await jobsOf(await bench.newUser(), RUNNING + 1)
    const last = ids.at(-1) ?? ''
    await bench.endJob({ resourceId: ids[0] ?? '', run: 1 })
    const workflows = scriptedWorkflows({})
    relay(workflows)
    await until(async () => (await bench.job(last)).slot === 'given')
    await cancel(last)
    await untilCarried()
    expect(workflows.calls.filter(call => call.includes(last))).toEqual([`start ${last}.1`, `cancel ${last}.1`])
  })

  test('past their deadline are started, so that they end as late', async () => {
    const userId = await bench.newUser()
    await jobsOf(userId, RUNNING)
    const late = await bench.newJob({ userId, deadlineAt: new Date(Date.now() - 1) })
    const early = await bench.newJob({ userId, deadlineAt: new Date(Date.now() + 3_600_000) })
    const workflows = scriptedWorkflows({})
    relay(workflows)
    await until(async () => startsOf(workflows.calls).includes(late))
    expect((await bench.job(early)).slot).toBe('waiting')
  })

  test('that wait are not lost ones', async () => {
    const ids = await jobsOf(await bench.newUser(), RUNNING + 1)
    const workflows = scriptedWorkflows({})
    relay(workflows)
    await untilCarried()
    for (const id of ids) await bench.untouchedFor(id, 31)
    const endLost = (run: { resourceId: string; run: number }) => bench.endJob(run)
    const jobs = JOB_KINDS.map(kind => ({ ...kind, endLost }))
    const reconciler = startReconciler({ ...bench, workflows, jobs })
    loops.push(reconciler)
    await until(async () => workflows.calls.filter(call => call.startsWith('describe')).length === RUNNING)
    await reconciler.stop()
    expect(workflows.calls.filter(call => call.includes(ids.at(-1) ?? ''))).toEqual([])
  })

  test('are bounded: one too many is a 429 that says so', async () => {
    const userId = await bench.newUser()
    const { open } = VIDEO_JOBS.slots
    await bench.db.query(
      `INSERT INTO jobs (resource_id, kind, workflow, task_queue, user_id, summary, input, background)
       SELECT 'video_' || $1::text || i, 'video', 'video', 'none', $1::text, '', '{}', true FROM generate_series(1, $2::integer) AS i`,
      [userId, open - 1],
    )
    await bench.newJob({ userId, kind: VIDEO_JOBS })
    await expect(bench.newJob({ userId, kind: VIDEO_JOBS })).rejects.toMatchObject({
      status: 429,
      code: 'rate_limit_exceeded',
      type: 'too_many_jobs',
      message: expect.stringContaining(`${open} jobs`),
    })
    await bench.newJob({ userId })
  })
})

describe('commands', () => {
  test('of one account do not hold back those of another, and interactive ones go first', async () => {
    const [many, few] = [await bench.newUser(), await bench.newUser()]
    const mass: string[] = []
    for (let made = 0; made < 60; made += 1) mass.push(await bench.newJob({ userId: many, kind: TURN_JOBS }))
    const batches = await jobsOf(few, 2)
    const turn = await bench.newJob({ userId: few, kind: TURN_JOBS })
    const workflows = scriptedWorkflows({})
    relay(workflows)
    await untilCarried()
    const order = startsOf(workflows.calls)
    expect(order.slice(0, 2)).toContain(turn)
    for (const id of batches) expect(order.indexOf(id)).toBeLessThan(mass.length + 3)
    expect(order).toHaveLength(63)
  })

  test('of background jobs leave room where Temporal is slow', async () => {
    const arrivals: (() => void)[] = []
    const onCall = () => new Promise<void>(resolve => arrivals.push(resolve))
    const workflows = scriptedWorkflows({ onCall })
    relay(workflows)
    await Promise.all(Array.from({ length: 20 }, () => bench.newJob()))
    await until(async () => workflows.calls.length === 4)
    const turn = await bench.newJob({ kind: TURN_JOBS })
    await until(async () => workflows.calls.includes(`start ${turn}.1`))
    expect(workflows.calls).toHaveLength(5)
    for (let carried = 0; carried < 21; carried += 1) {
      const arrive = await until(async () => arrivals.shift())
      arrive()
    }
    await untilCarried()
  })
})
