import type { JobKind, JobLoss, JobRun } from './jobs.rules.ts'

/** The activities of a kind, by the queue on which they run. */
type Activities = Record<string, Record<string, (...args: never[]) => Promise<unknown>>>

/** A kind of job with all that runs it: what the workers, the relay and the reconciler know of it. */
export interface JobDefinition<Deps> extends JobKind {
  activities: (deps: Deps) => Activities
  /** Ends a resource whose workflow is gone. Called at least once; ends the job in its transaction. */
  endLost: (deps: Deps, run: JobRun, loss: JobLoss) => Promise<void>
  /** Ends a job as cancelled that never got its slot, and so has no workflow. */
  endWaiting: (deps: Deps, run: JobRun) => Promise<void>
}

/** Checks the definition's types, and gives it as it is. */
export const defineJob = <Deps>(definition: JobDefinition<Deps>): JobDefinition<Deps> => definition
