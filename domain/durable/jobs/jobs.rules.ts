/** What is true of all jobs of a kind. A feature states its own, and starts its jobs by it. */
export interface JobKind {
  kind: string
  /** Of its resources. */
  idPrefix: string
  workflow: string
  /** The queue of its workflows. */
  queue: string
  /** Whether nobody waits for it at a screen: it is carried behind those for whom somebody does. */
  isBackground: boolean
  slots: Places
}

/**
 * How many jobs of a kind an account has at once: in all, and of those how many are given to Temporal. The others
 * wait in Postgres, where they cost nobody anything. Counted without a lock: jobs that are made in the same instant
 * may exceed `open` by as many.
 */
export interface Places {
  open: number
  running: number
}

/** Where a job is kept until its account has a slot for it. */
export type JobSlot = 'waiting' | 'given' | 'withdrawn'

/** Errors: where no such kind is defined. */
export function kindOf<K extends JobKind>(kinds: readonly K[], kind: string): K {
  const found = kinds.find(one => one.kind === kind)
  if (found === undefined) throw new Error(`no jobs of the kind ${kind} are defined`)
  return found
}

/** One run of a job's workflow. A retry or a restart is the next run: its writes supersede the earlier ones'. */
export interface JobRun {
  resourceId: string
  run: number
}

/** The workflow's id in Temporal: carrying the same run twice names the same workflow. */
export const workflowIdOf = ({ resourceId, run }: JobRun): string => `${resourceId}.${run}`

/** Errors: TypeError where it is not an id that workflowIdOf made. */
export function jobRunOf(workflowId: string): JobRun {
  const match = /^(.+)\.(\d+)$/.exec(workflowId)
  if (match?.[1] === undefined) throw new TypeError(`${workflowId} is not the workflow of a job`)
  return { resourceId: match[1], run: Number(match[2]) }
}

export const MOST_LOST_RUNS = 3

/** Why a job's workflow is no more, where it did not end the job itself. */
export type JobLoss = 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed_out' | 'lost'

export const LOSS_TEXT: Record<JobLoss, string> = {
  completed: 'The workflow ended without finishing the job.',
  failed: 'The workflow failed.',
  cancelled: 'The workflow was cancelled by an operator.',
  terminated: 'The workflow was terminated by an operator.',
  timed_out: 'The workflow timed out.',
  lost: 'The workflow was lost and could not be restarted.',
}

/** Delay before a command is carried again: 1 s doubling to 30 s. */
export const redeliverAfterMs = (attempts: number): number => Math.min(30_000, 1_000 * 2 ** Math.min(attempts - 1, 5))
