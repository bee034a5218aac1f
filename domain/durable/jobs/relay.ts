import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { Listener } from '../../../infra/postgres/listener.ts'
import type { WorkflowClient } from '../../../infra/temporal/workflow-client.ts'
import { createLoop, type Loop } from '../../../infra/loop.ts'
import { redeliverAfterMs, workflowIdOf, kindOf, type JobKind, type JobRun } from './jobs.rules.ts'
import { claimCommands, setCommandDelivered, setCommandFailed, type ClaimedCommand } from './commands.sql.ts'
import { JOB_COMMANDS, JOB_SLOTS } from './jobs.sql.ts'
import { giveSlots } from './slots.sql.ts'

/** A kind of jobs, and how one ends as cancelled that never got its slot, and so has no workflow. */
export interface RelayedKind extends JobKind {
  endWaiting: (run: JobRun) => Promise<void>
}

interface Deps {
  db: Database
  listener: Listener
  workflows: WorkflowClient
  log: Log
  jobs: readonly RelayedKind[]
}

/** Commands carried at once: Temporal is slower than Postgres, so a burst waits here. */
const AT_ONCE = 8
/** Of those: the others are kept for what somebody waits for. */
const IN_BACKGROUND = 4
const LOOK_EVERY_MS = 2_000

/**
 * Gives jobs their slots, and carries committed job commands to Temporal: accounts in turn, in order within a job, at
 * least once: carrying twice is harmless since a run's workflow id is fixed. While Temporal is away the commands wait;
 * none is lost.
 */
export function startRelay(deps: Deps): Loop {
  const delivering = new Set<Promise<void>>()
  let inBackground = 0
  const deliverDue = async () => {
    const free = AT_ONCE - delivering.size
    const commands = free === 0 ? [] : await claimCommands(deps.db, free, IN_BACKGROUND - inBackground)
    commands.forEach(startDelivery)
    return false
  }
  // One that has arrived makes room, and its job's next command may follow.
  const startDelivery = (command: ClaimedCommand) => {
    const background = command.background ? 1 : 0
    inBackground += background
    const delivery = deliverOne(deps, command)
      .catch((error: unknown) => deps.log.error({ job: command.resource_id, err: error }, 'a command was not settled'))
      .finally(() => {
        inBackground -= background
        delivering.delete(delivery)
        loop.wake()
      })
    delivering.add(delivery)
  }
  const loop = createLoop({ name: 'relay', everyMs: LOOK_EVERY_MS, log: deps.log, turn: deliverDue })
  const giveSlotsOnce = async () => {
    if ((await giveSlots(deps.db, deps.jobs)) > 0) loop.wake()
    return false
  }
  const slots = createLoop({ name: 'slots', everyMs: LOOK_EVERY_MS, log: deps.log, turn: giveSlotsOnce })
  const wake = () => [loop, slots].forEach(one => one.wake())
  deps.listener.on(JOB_COMMANDS, () => loop.wake())
  deps.listener.on(JOB_SLOTS, () => slots.wake())
  deps.listener.onGap(wake)
  return {
    wake,
    stop: async () => {
      await Promise.all([loop.stop(), slots.stop()])
      await Promise.all(delivering)
    },
  }
}

async function deliverOne(deps: Deps, command: ClaimedCommand): Promise<void> {
  try {
    if (command.run === command.job.run) await deliver(deps, command)
    await setCommandDelivered(deps.db, command.id)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    deps.log.warn(
      { job: command.resource_id, command: command.command, attempts: command.attempts, reason },
      'command not delivered',
    )
    await setCommandFailed(deps.db, command.id, reason.slice(0, 500), redeliverAfterMs(command.attempts))
  }
}

async function deliver(deps: Deps, { id, command, job, signal, payload }: ClaimedCommand): Promise<void> {
  const { workflows, jobs } = deps
  const run = { resourceId: job.resource_id, run: job.run }
  const workflowId = workflowIdOf(run)
  if (command === 'end') return job.state === 'open' ? kindOf(jobs, job.kind).endWaiting(run) : undefined
  if (command === 'cancel') return workflows.cancel(workflowId)
  if (command === 'signal') return workflows.signal(workflowId, signal ?? '', payload, `job-command-${id}`)
  return workflows.start({
    workflowId,
    workflow: job.workflow,
    taskQueue: job.task_queue,
    input: job.input,
    summary: job.summary,
    tenantId: job.user_id,
    surface: job.kind,
    jobId: job.resource_id,
  })
}
