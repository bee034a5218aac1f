import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { endJob, touchJob } from '../../../domain/durable/jobs/jobs.service.ts'
import type { JobLoss, JobRun } from '../../../domain/durable/jobs/jobs.rules.ts'
import type { Loop } from '../../../infra/loop.ts'
import { startReconciler } from '../../../domain/durable/jobs/reconciler.ts'
import { startRelay } from '../../../domain/durable/jobs/relay.ts'
import { inTransaction } from '../../../infra/postgres/database.ts'
import { connectTemporal } from '../../../infra/temporal/connection.ts'
import {
  createWorkflowClient,
  type WorkflowClient,
  type WorkflowState,
} from '../../../infra/temporal/workflow-client.ts'
import { JOB_KINDS, endingWith, jobBench, scriptedWorkflows } from '../../support/jobs.ts'
import { testStack } from '../../support/stack.ts'
import { temporalClient } from '../../support/temporal.ts'
import { until } from '../../support/until.ts'

const bench = jobBench()
const temporal = temporalClient()
const loops: Loop[] = []
afterEach(async () => {
  await Promise.all(loops.splice(0).map(loop => loop.stop()))
  await bench.db.query(`UPDATE jobs SET state = 'ended', ended_at = now() WHERE state = 'open'`)
})

/** Reconciles, ending jobs as a feature does; gives what it ended. */
function reconcile(workflows: WorkflowClient): { loop: Loop; ended: (JobRun & { loss: JobLoss })[] } {
  const ended: (JobRun & { loss: JobLoss })[] = []
  const endLost = async (run: JobRun, loss: JobLoss) => {
    ended.push({ ...run, loss })
    await inTransaction(bench.db, tx => endJob(tx, run, loss))
  }
  const loop = startReconciler({
    ...bench,
    workflows,
    jobs: JOB_KINDS.map(kind => ({ ...kind, endLost })),
  })
  loops.push(loop)
  return { loop, ended }
}

/** A job whose start was carried, and which nobody has touched for long. */
async function quietJob(): Promise<string> {
  const id = await bench.newJob()
  await bench.db.query('UPDATE job_commands SET delivered_at = now() WHERE resource_id = $1', [id])
  await bench.untouchedFor(id, 31)
  return id
}

describe('a quiet job', () => {
  test.each<[WorkflowState, JobLoss]>([
    ['terminated', 'terminated'],
    ['cancelled', 'cancelled'],
    ['failed', 'failed'],
    ['timed_out', 'timed_out'],
  ])('whose workflow is %s is ended so', async (state, loss) => {
    const id = await quietJob()
    const { ended } = reconcile(scriptedWorkflows({ states: { [`${id}.1`]: state } }))
    await until(async () => (await bench.job(id)).state === 'ended')
    expect(ended).toEqual([{ resourceId: id, run: 1, loss }])
    expect(await bench.job(id)).toMatchObject({ outcome: loss, run: 1, lost_runs: 0 })
  })

  test('whose workflow runs is left alone, and looked at again when it was quiet as long again', async () => {
    const id = await quietJob()
    const workflows = scriptedWorkflows({})
    const { loop, ended } = reconcile(workflows)
    await until(async () => workflows.calls.length === 1)
    await loop.stop()
    expect(ended).toEqual([])
    const job = await bench.job(id)
    expect(job).toMatchObject({ state: 'open', run: 1 })
    expect(Date.now() - job.touched_at.getTime()).toBeLessThan(20_000)
  })

  test.each<[string, WorkflowState, JobLoss]>([
    ['that Temporal does not know', 'not_found', 'lost'],
    ['whose workflow has completed, of a restored database,', 'completed', 'completed'],
  ])('%s starts its next run, three times, and ends then', async (_which, state, loss) => {
    const id = await quietJob()
    const states: Record<string, WorkflowState> = {}
    for (const run of [1, 2, 3, 4]) states[`${id}.${run}`] = state
    const workflows = scriptedWorkflows({ states })
    const { loop, ended } = reconcile(workflows)
    loops.push(startRelay({ ...bench, workflows, jobs: endingWith(bench) }))
    for (const run of [2, 3, 4]) {
      await until(async () => (await bench.job(id)).run === run)
      await until(async () => workflows.calls.includes(`start ${id}.${run}`))
      await until(async () => (await bench.commands(id)).every(({ delivered }) => delivered))
      expect(await bench.job(id)).toMatchObject({ state: 'open', run, lost_runs: run - 1 })
      await bench.untouchedFor(id, 31)
      loop.wake()
    }
    await until(async () => (await bench.job(id)).state === 'ended')
    expect(ended).toEqual([{ resourceId: id, run: 4, loss }])
    expect((await bench.job(id)).run).toBe(4)
  })

  test('waits while Temporal cannot be asked', async () => {
    const id = await quietJob()
    let away = true
    const states: Record<string, WorkflowState> = { [`${id}.1`]: 'terminated' }
    const onCall = () => (away ? Promise.reject(new Error('14 UNAVAILABLE')) : Promise.resolve())
    const workflows = scriptedWorkflows({ states, onCall })
    const { loop, ended } = reconcile(workflows)
    await until(async () => workflows.calls.length === 1)
    await until(async () => (await bench.job(id)).touched_at.getTime() > Date.now() - 20_000)
    expect(await bench.job(id)).toMatchObject({ state: 'open', run: 1, lost_runs: 0 })
    expect(ended).toEqual([])
    away = false
    await bench.untouchedFor(id, 31)
    loop.wake()
    await until(async () => (await bench.job(id)).state === 'ended')
  })

  test('is one that nobody touched for 30 s and whose commands are all carried', async () => {
    const [quiet, fresh, waiting] = [await quietJob(), await quietJob(), await bench.newJob()]
    await bench.untouchedFor(fresh, 25)
    await bench.untouchedFor(waiting, 3_600)
    const workflows = scriptedWorkflows({})
    const { loop } = reconcile(workflows)
    await until(async () => workflows.calls.length > 0)
    await loop.stop()
    expect(workflows.calls).toEqual([`describe ${quiet}.1`])
  })

  test('does not hold up many others', async () => {
    const ids = await Promise.all(Array.from({ length: 25 }, quietJob))
    const workflows = scriptedWorkflows({})
    reconcile(workflows)
    await until(async () => workflows.calls.length >= 25)
    expect(new Set(workflows.calls)).toEqual(new Set(ids.map(id => `describe ${id}.1`)))
  })
})

test('a superseded run neither touches nor ends its job', async () => {
  const id = await quietJob()
  const { loop } = reconcile(scriptedWorkflows({ states: { [`${id}.1`]: 'not_found' } }))
  await until(async () => (await bench.job(id)).run === 2)
  await loop.stop()
  await bench.untouchedFor(id, 20)
  const before = await bench.job(id)
  const first = { resourceId: id, run: 1 }
  expect(await touchJob(bench.db, first)).toBe(false)
  expect(await inTransaction(bench.db, tx => endJob(tx, first, 'completed'))).toBe(false)
  expect(await bench.job(id)).toEqual(before)
  expect(await touchJob(bench.db, { resourceId: id, run: 2 })).toBe(true)
})

describe('with a real Temporal', () => {
  const connection = connectTemporal({ temporal: { address: testStack().temporalAddress } })
  afterAll(() => connection.close())
  const workflows = createWorkflowClient(connection, 'default')

  test('a running, a terminated, a vanished and an unreachable workflow are told apart', async () => {
    const [running, terminated, vanished] = [await quietJob(), await quietJob(), await quietJob()]
    const start = (id: string) =>
      workflows.start({
        workflowId: `${id}.1`,
        workflow: 'batch',
        taskQueue: 'nobody-polls-this',
        input: {},
        summary: 'a job of a test',
        tenantId: 'nobody',
        surface: 'batch',
        jobId: id,
      })
    await Promise.all([start(running), start(terminated)])
    await temporal.workflow.getHandle(`${terminated}.1`).terminate()

    const nowhere = connectTemporal({ temporal: { address: '127.0.0.1:1' } })
    await expect(createWorkflowClient(nowhere, 'default').describe(`${running}.1`)).rejects.toThrow()
    await nowhere.close()

    const { ended } = reconcile(workflows)
    await until(async () => (await bench.job(terminated)).state === 'ended')
    await until(async () => (await bench.job(vanished)).run === 2)
    expect(ended).toEqual([{ resourceId: terminated, run: 1, loss: 'terminated' }])
    expect(await bench.job(running)).toMatchObject({ state: 'open', run: 1 })
    await temporal.workflow.getHandle(`${running}.1`).terminate()
  })
})
