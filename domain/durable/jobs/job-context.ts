import type { JobRun } from './jobs.rules.ts'

/** What a job's step knows of the attempt that runs it; the adapter to Temporal is in activities/. */
export interface JobContext {
  run: JobRun
  attempt: number
  /** Aborts when the step must stop: the job was cancelled, its time is up, or this process is leaving. */
  signal: AbortSignal
  /** Whether the signal's abort was somebody's wish, and not that of a process that leaves. */
  isCancelled(): boolean
  /** Says that the step is alive. */
  heartbeat(details?: unknown): void
}
