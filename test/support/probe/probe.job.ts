import { asActivity } from '../../../activities/durable/job-context.ts'
import { defineJob } from '../../../domain/durable/jobs/define-job.ts'
import type { JobRun } from '../../../domain/durable/jobs/jobs.rules.ts'
import { endRun } from '../../../domain/durable/jobs/run-transaction.ts'
import type { Database } from '../../../infra/postgres/database.ts'

interface ProbeDeps {
  db: Database
}

const end = ({ db }: ProbeDeps, run: JobRun, outcome: string) => endRun(db, run, outcome, () => Promise.resolve())

const createProbeActivities = (deps: ProbeDeps) => ({
  endProbe: (_probeId: string, word: string) => asActivity({ db: deps.db }, ({ run }) => end(deps, run, word)),
})

export type ProbeActivities = ReturnType<typeof createProbeActivities>

/** A kind of job that the product does not have: this file, its workflow, and a line in a list. */
export const probeJobs = defineJob<ProbeDeps>({
  kind: 'probe',
  idPrefix: 'probe',
  workflow: 'probe',
  queue: 'probe',
  isBackground: true,
  slots: { open: 10, running: 2 },
  activities: deps => ({ probe: createProbeActivities(deps) }),
  endLost: (deps, run, loss) => end(deps, run, loss),
  endWaiting: (deps, run) => end(deps, run, 'cancelled'),
})
