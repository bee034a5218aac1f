import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { NativeConnection, Worker } from '@temporalio/worker'
import { newRequestId } from '../../../domain/core/ids.ts'
import { cancelJob, signalJob, startJob, startNextRun } from '../../../domain/durable/jobs/jobs.service.ts'
import type { JobLoss, JobRun } from '../../../domain/durable/jobs/jobs.rules.ts'
import { startReconciler } from '../../../domain/durable/jobs/reconciler.ts'
import { startRelay } from '../../../domain/durable/jobs/relay.ts'
import { inTransaction } from '../../../infra/postgres/database.ts'
import { connectTemporal } from '../../../infra/temporal/connection.ts'
import { createWorkflowClient } from '../../../infra/temporal/workflow-client.ts'
import { jobBench } from '../../support/jobs.ts'
import { probeJobs } from '../../support/probe/probe.job.ts'
import { testStack } from '../../support/stack.ts'
import { temporalClient } from '../../support/temporal.ts'
import { until } from '../../support/until.ts'

/** As workers/jobs.ts: the line. */
const JOBS = [probeJobs]

const bench = jobBench()
const temporal = temporalClient()
const { temporalAddress } = testStack()
const ends: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  const native = await NativeConnection.connect({ address: temporalAddress })
  const connection = connectTemporal({ temporal: { address: temporalAddress } })
  const workflows = createWorkflowClient(connection, 'default')
  const jobs = JOBS.map(job => ({
    ...job,
    endLost: (run: JobRun, loss: JobLoss) => job.endLost(bench, run, loss),
    endWaiting: (run: JobRun) => job.endWaiting(bench, run),
  }))
  const worker = await Worker.create({
    connection: native,
    taskQueue: 'probe',
    workflowsPath: fileURLToPath(new URL('../../support/probe/probe.workflow.ts', import.meta.url)),
    activities: Object.assign({}, ...JOBS.map(job => job.activities(bench)['probe'])) as object,
  })
  const running = worker.run()
  const loops = [startRelay({ ...bench, workflows, jobs }), startReconciler({ ...bench, workflows, jobs })]
  ends.push(
    async () => Promise.all(loops.map(loop => loop.stop())),
    async () => {
      worker.shutdown()
      await running
    },
    () => native.close(),
    () => connection.close(),
  )
})
afterAll(async () => {
  for (const end of ends) await end()
})

const ofProbe = (id: string) => ({ resourceId: id, input: { probeId: id }, summary: 'a probe', fileIds: [] })

async function newProbe(userId?: string): Promise<string> {
  const id = `probe_${newRequestId().replaceAll('-', '')}`
  const owner = { userId: userId ?? (await bench.newUser()), projectId: null }
  await inTransaction(bench.db, tx => startJob(tx, probeJobs, { ...ofProbe(id), owner }))
  return id
}

const tell = (id: string, word: string) => inTransaction(bench.db, tx => signalJob(tx, id, 'word', word))
const untilEnded = (id: string, run: number) =>
  until(async () => {
    const job = await bench.job(id)
    return job.run === run && job.state === 'ended' && job
  })

test('a new kind of job runs, is told a word, and runs again after its end', async () => {
  const id = await newProbe()
  expect(await tell(id, 'first')).toBe(true)
  expect((await untilEnded(id, 1)).outcome).toBe('first')
  expect(await tell(id, 'too late')).toBe(false)
  await inTransaction(bench.db, tx => startNextRun(tx, probeJobs, ofProbe(id)))
  await tell(id, 'second')
  expect((await untilEnded(id, 2)).outcome).toBe('second')
  const states = await Promise.all([1, 2].map(run => temporal.workflow.getHandle(`${id}.${run}`).result()))
  expect(states).toHaveLength(2)
})

test('it is ended by the reconciler where its workflow is gone, and without one where it waited', async () => {
  const userId = await bench.newUser()
  const [lost, other, waiting] = [await newProbe(userId), await newProbe(userId), await newProbe(userId)]
  const handle = temporal.workflow.getHandle(`${lost}.1`)
  await until(() => handle.describe().catch(() => undefined))
  await inTransaction(bench.db, tx => cancelJob(tx, waiting))
  expect((await untilEnded(waiting, 1)).outcome).toBe('cancelled')
  await handle.terminate()
  await bench.untouchedFor(lost, 31)
  expect((await untilEnded(lost, 1)).outcome).toBe('terminated')
  await tell(other, 'done')
  expect((await untilEnded(other, 1)).outcome).toBe('done')
})
