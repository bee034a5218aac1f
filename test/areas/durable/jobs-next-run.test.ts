import { afterEach, describe, expect, test } from '@jest/globals'
import { BATCH_JOBS } from '../../../domain/work/batches/batch.rules.ts'
import { cancelJob, signalJob, startNextRun, touchJob } from '../../../domain/durable/jobs/jobs.service.ts'
import { startRelay } from '../../../domain/durable/jobs/relay.ts'
import type { Loop } from '../../../infra/loop.ts'
import { inTransaction } from '../../../infra/postgres/database.ts'
import { connectTemporal } from '../../../infra/temporal/connection.ts'
import { createWorkflowClient, type WorkflowClient } from '../../../infra/temporal/workflow-client.ts'
import { endingWith, jobBench, scriptedWorkflows } from '../../support/jobs.ts'
import { testStack } from '../../support/stack.ts'
import { temporalClient } from '../../support/temporal.ts'
import { until } from '../../support/until.ts'

const bench = jobBench()
const temporal = temporalClient()
const loops: Loop[] = []
afterEach(async () => {
  await Promise.all(loops.splice(0).map(loop => loop.stop()))
})

function relay(workflows: WorkflowClient): Loop {
  const loop = startRelay({ ...bench, workflows, jobs: endingWith(bench) })
  loops.push(loop)
  return loop
}

const next = (resourceId: string) =>
  inTransaction(bench.db, tx =>
    startNextRun(tx, BATCH_JOBS, { resourceId, input: { again: true }, summary: 'again', fileIds: [] }),
  )
const signal = (id: string, payload: unknown) => inTransaction(bench.db, tx => signalJob(tx, id, 'told', payload))
const untilCarried = (id: string) => until(async () => (await bench.commands(id)).every(({ delivered }) => delivered))

describe('the next run of a job', () => {
  test('begins once it has ended, under its own number, and supersedes the one before', async () => {
    const workflows = scriptedWorkflows({})
    relay(workflows)
    const id = await bench.newJob()
    await expect(next(id)).rejects.toMatchObject({ status: 409 })
    await bench.endJob({ resourceId: id, run: 1 })
    expect(await next(id)).toEqual({ resourceId: id, run: 2 })
    expect(await bench.job(id)).toMatchObject({
      state: 'open',
      run: 2,
      outcome: null,
      ended_at: null,
      summary: 'again',
      input: { again: true },
    })
    expect(await touchJob(bench.db, { resourceId: id, run: 1 })).toBe(false)
    expect(await touchJob(bench.db, { resourceId: id, run: 2 })).toBe(true)
    await untilCarried(id)
    expect(workflows.calls.filter(call => call.includes(id))).toEqual([`start ${id}.1`, `start ${id}.2`])
  })

  test('is one, of two that are asked for at once', async () => {
    const id = await bench.newJob()
    await bench.endJob({ resourceId: id, run: 1 })
    const both = await Promise.allSettled([next(id), next(id)])
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect((await bench.job(id)).run).toBe(2)
  })

  test('is none of an unknown job', async () => {
    await expect(next('batch_of_nobody')).rejects.toMatchObject({ status: 404 })
  })

  test('waits for its slot as a new job does', async () => {
    const userId = await bench.newUser()
    const id = await bench.newJob({ userId })
    await bench.endJob({ resourceId: id, run: 1 })
    for (let made = 0; made < BATCH_JOBS.slots.running; made += 1) await bench.newJob({ userId })
    await next(id)
    expect((await bench.job(id)).slot).toBe('waiting')
  })
})

describe('a signal', () => {
  test('is told in order, and waits for the start of a job that waits for its slot', async () => {
    const userId = await bench.newUser()
    const ids: string[] = []
    for (let made = 0; made <= BATCH_JOBS.slots.running; made += 1) ids.push(await bench.newJob({ userId }))
    const [first = '', waiting = ''] = [ids[0], ids.at(-1)]
    expect(await signal(waiting, 1)).toBe(true)
    expect(await signal(waiting, 2)).toBe(true)
    const workflows = scriptedWorkflows({})
    relay(workflows)
    await untilCarried(first)
    expect(workflows.calls.filter(call => call.includes(waiting))).toEqual([])
    await bench.endJob({ resourceId: first, run: 1 })
    await until(async () => (await bench.job(waiting)).slot === 'given')
    await untilCarried(waiting)
    expect(workflows.calls.filter(call => call.includes(waiting))).toEqual([
      `start ${waiting}.1`,
      `signal ${waiting}.1`,
      `signal ${waiting}.1`,
    ])
  })

  test('of a job that is withdrawn does not stand in the way of its end', async () => {
    const userId = await bench.newUser()
    const ids: string[] = []
    for (let made = 0; made <= BATCH_JOBS.slots.running; made += 1) ids.push(await bench.newJob({ userId }))
    const waiting = ids.at(-1) ?? ''
    await signal(waiting, 1)
    await inTransaction(bench.db, tx => cancelJob(tx, waiting))
    expect(await signal(waiting, 2)).toBe(false)
    relay(scriptedWorkflows({}))
    await until(async () => (await bench.job(waiting)).state === 'ended')
    await untilCarried(waiting)
    expect(await signal(waiting, 3)).toBe(false)
  })

  test('that is carried twice is told once', async () => {
    const connection = connectTemporal({ temporal: { address: testStack().temporalAddress } })
    try {
      const loop = relay(createWorkflowClient(connection, 'default'))
      const id = await bench.newJob()
      await signal(id, { some: 'text' })
      await untilCarried(id)
      await bench.db.query('UPDATE job_commands SET delivered_at = NULL, due_at = now() WHERE resource_id = $1', [id])
      loop.wake()
      await untilCarried(id)
      await signal(id, { other: 'text' })
      await untilCarried(id)
      const handle = temporal.workflow.getHandle(`${id}.1`)
      const signals = ((await handle.fetchHistory()).events ?? []).flatMap(
        ({ workflowExecutionSignaledEventAttributes: told }) =>
          told ? [[told.signalName, Buffer.from(told.input?.payloads?.[0]?.data ?? []).toString()]] : [],
      )
      expect(signals).toEqual([
        ['told', '{"some":"text"}'],
        ['told', '{"other":"text"}'],
      ])
      await handle.terminate()
      await signal(id, 'too late')
      await untilCarried(id)
      expect((await bench.commands(id)).map(({ last_error }) => last_error)).toEqual([null, null, null, null])
    } finally {
      await connection.close()
    }
  })
})
