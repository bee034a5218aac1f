import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'
import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { cancelJob, restartLostJob } from '../../../domain/durable/jobs/jobs.service.ts'
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

const cancel = (id: string) => inTransaction(bench.db, tx => cancelJob(tx, id))
const untilCarried = (id: string, withinMs?: number) =>
  until(async () => {
    const commands = await bench.commands(id)
    return commands.every(({ delivered }) => delivered) && commands
  }, withinMs)
const ofJob = (calls: string[], id: string) => calls.filter(call => call.includes(id))

describe('commands of a job', () => {
  test('are carried in their order, the next when the one before it has arrived', async () => {
    let arrive: () => void = () => undefined
    const startArrives = new Promise<void>(resolve => (arrive = resolve))
    const workflows = scriptedWorkflows({
      onCall: async call => void (call.startsWith('start') && (await startArrives)),
    })
    relay(workflows)
    const id = await bench.newJob()
    await until(async () => ofJob(workflows.calls, id).length === 1)
    await cancel(id)
    // Another relay, which is free, may not overtake either.
    const other = scriptedWorkflows({})
    relay(other)
    const bystander = await bench.newJob()
    await until(async () => ofJob(other.calls, bystander).length + ofJob(workflows.calls, bystander).length === 1)
    expect(ofJob([...workflows.calls, ...other.calls], id)).toEqual([`start ${id}.1`])
    arrive()
    await untilCarried(id)
    expect(ofJob([...workflows.calls, ...other.calls], id)).toEqual([`start ${id}.1`, `cancel ${id}.1`])
  })

  test('wait while Temporal is away, tell why, and are carried later', async () => {
    let away = true
    const workflows = scriptedWorkflows({
      onCall: () => (away ? Promise.reject(new Error('14 UNAVAILABLE')) : Promise.resolve()),
    })
    const id = await bench.newJob()
    await cancel(id)
    relay(workflows)
    const [start, stop] = await until(async () => {
      const commands = await bench.commands(id)
      return (commands[0]?.attempts ?? 0) >= 2 && commands
    })
    expect(start).toMatchObject({ command: 'start', delivered: false, last_error: '14 UNAVAILABLE' })
    expect(stop).toEqual({ command: 'cancel', run: 1, delivered: false, attempts: 0, last_error: null })
    away = false
    const carried = await untilCarried(id)
    expect(carried.map(({ last_error }) => last_error)).toEqual([null, null])
    expect(new Set(ofJob(workflows.calls, id))).toEqual(new Set([`start ${id}.1`, `cancel ${id}.1`]))
    expect(ofJob(workflows.calls, id).at(-1)).toBe(`cancel ${id}.1`)
  })

  test("of a superseded run are dropped, and the next run's carried", async () => {
    const id = await bench.newJob()
    await cancel(id)
    await inTransaction(bench.db, tx => restartLostJob(tx, { resourceId: id, run: 1 }))
    const workflows = scriptedWorkflows({})
    relay(workflows)
    await untilCarried(id)
    expect(ofJob(workflows.calls, id)).toEqual([`start ${id}.2`])
  })

  test('of a job that has ended are not even written', async () => {
    const id = await bench.newJob()
    await bench.db.query(`UPDATE jobs SET state = 'ended', ended_at = now() WHERE resource_id = $1`, [id])
    await cancel(id)
    expect((await bench.commands(id)).map(({ command }) => command)).toEqual(['start'])
  })
})

describe('with a real Temporal', () => {
  const connection = connectTemporal({ temporal: { address: testStack().temporalAddress } })
  afterAll(() => connection.close())
  const workflows = createWorkflowClient(connection, 'default')
  const started: string[] = []
  afterAll(() =>
    Promise.all(
      started.map(id =>
        temporal.workflow
          .getHandle(`${id}.1`)
          .terminate()
          .catch(() => undefined),
      ),
    ),
  )

  const newJob = async () => {
    const id = await bench.newJob()
    started.push(id)
    return id
  }
  const carryAgain = (id: string) =>
    bench.db.query('UPDATE job_commands SET delivered_at = NULL, due_at = now() WHERE resource_id = $1', [id])
  const runsOf = async (id: string) => {
    const { count } = await temporal.workflow.count(`WorkflowId = '${id}.1'`)
    return count
  }

  test('a start that is carried twice is one run, before and after its end', async () => {
    const id = await newJob()
    const loop = relay(workflows)
    await untilCarried(id)
    const handle = temporal.workflow.getHandle(`${id}.1`)
    const { runId } = await handle.describe()
    for (const end of [() => Promise.resolve(), () => handle.terminate()]) {
      await end()
      await carryAgain(id)
      loop.wake()
      const commands = await untilCarried(id)
      expect(commands).toMatchObject([{ command: 'start', delivered: true, last_error: null }])
      expect((await handle.describe()).runId).toBe(runId)
    }
    expect((await bench.commands(id))[0]?.attempts).toBe(3)
    expect(await until(async () => (await runsOf(id)) > 0 && runsOf(id))).toBe(1)
  })

  test('a cancel arrives, twice too, and one for an unknown or ended workflow is no error', async () => {
    const id = await newJob()
    const loop = relay(workflows)
    await cancel(id)
    await untilCarried(id)
    const handle = temporal.workflow.getHandle(`${id}.1`)
    const cancels = async () =>
      ((await handle.fetchHistory()).events ?? []).filter(
        event => event.workflowExecutionCancelRequestedEventAttributes,
      )
    expect(await cancels()).toHaveLength(1)
    for (const end of [() => Promise.resolve(), () => handle.terminate()]) {
      await end()
      await carryAgain(id)
      loop.wake()
      expect((await untilCarried(id)).map(({ last_error }) => last_error)).toEqual([null, null])
    }
    expect(await cancels()).toHaveLength(1)
    await expect(workflows.cancel(`${id}.7`)).resolves.toBeUndefined()
  })

  test('commands wait until its address answers', async () => {
    const proxy = await temporalProxy()
    const late = connectTemporal({ temporal: { address: proxy.address } })
    try {
      relay(createWorkflowClient(late, 'default'))
      const id = await newJob()
      const waiting = await until(async () => (await bench.commands(id)).find(({ last_error }) => last_error !== null))
      expect(waiting).toMatchObject({ command: 'start', delivered: false })
      await proxy.open()
      await untilCarried(id)
      expect((await temporal.workflow.getHandle(`${id}.1`).describe()).status.name).toBe('RUNNING')
    } finally {
      await late.close()
      proxy.close()
    }
  })
})

/** An address at which Temporal is first not, and then is. */
async function temporalProxy(): Promise<{ address: string; open(): Promise<void>; close(): void }> {
  const [host = '', port = ''] = testStack().temporalAddress.split(':')
  const listen = async (server: Server, at: number): Promise<number> => {
    server.listen(at, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const probe = createServer()
  const own = await listen(probe, 0)
  probe.close()
  const server = createServer(client => {
    const upstream = connect(Number(port), host)
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => (client.destroy(), upstream.destroy()))
  })
  return {
    address: `127.0.0.1:${own}`,
    open: async () => void (await listen(server, own)),
    close: () => void server.close(),
  }
}
