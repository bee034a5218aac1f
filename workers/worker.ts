import type { NativeConnection } from '@temporalio/worker'
import type { Config } from '../infra/config.ts'
import type { Log } from '../infra/log.ts'
import { connectNative } from '../infra/temporal/native.ts'
import { prepareControl, startControlLoops } from './control.ts'
import { queuesOf, type Queue, type Role } from './queues.ts'
import { installRuntime, openWorkerDeps, runWorker, workflowCode } from './runtime.ts'

export interface RunningWorker {
  /** Rejects where the worker fails; resolves after `stop`. */
  ended: Promise<void>
  /** Hands back what is under way, then closes everything. */
  stop(): Promise<void>
}

/** Runs the queues of these roles in this process; with `control` the relay, the reconciler and the sweeps too. */
export async function startWorker(roles: readonly Role[], config: Config, log: Log): Promise<RunningWorker> {
  installRuntime(log)
  const deps = await openWorkerDeps(config, log, roles.join('-'))
  const control = roles.includes('control') ? await prepareControl(deps, config) : undefined
  const queues = queuesOf(deps, roles)
  if (queues.some(({ needs }) => needs.length > 0)) await deps.objects.check()
  const native = await connectNative(config)
  const workers = await Promise.all(queues.map(queue => workerOf(config, native, queue)))
  const loops = control === undefined ? undefined : await startControlLoops(deps, config, control)
  const shutDown = () => workers.forEach(worker => worker.getState() === 'RUNNING' && worker.shutdown())
  // Where one fails the others end too: the process is started anew.
  const ended = Promise.all(workers.map(worker => worker.run().finally(shutDown))).then(() => undefined)
  return {
    ended,
    stop: async () => {
      await loops?.stop()
      shutDown()
      await ended
      await native.close()
      await control?.client.close()
      await deps.close()
    },
  }
}

const workerOf = (config: Config, native: NativeConnection, queue: Queue) =>
  runWorker(config, native, {
    taskQueue: queue.name,
    ...(queue.runsWorkflows ? workflowCode() : {}),
    activities: queue.activities,
    maxConcurrentActivityTaskExecutions: queue.atOnce,
  })
