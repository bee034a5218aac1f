import type { Command } from 'commander'
import type { JobRow } from '../../domain/jobs/jobs.sql.ts'
import { workflowIdOf } from '../../domain/jobs/jobs.rules.ts'
import { group, operatorCommand, wholeNumber } from '../declare.ts'
import { operate, type OutputOptions } from '../operator.ts'
import { duration, table } from '../text.ts'
import { workflowLink } from '../workflow-link.ts'

const DEFAULT_JOBS = 100
const MOST_JOBS = 10_000

export const jobsCommand = (): Command => group('jobs', 'Durable jobs.', [list()])

const list = () =>
  operatorCommand(
    'list',
    'List running jobs, the newest first, with their workflows in Temporal.',
    'ipop jobs list',
    'ipop jobs list --json',
  )
    .option('--limit <n>', 'how many', wholeNumber(1, MOST_JOBS), DEFAULT_JOBS)
    .action((options: OutputOptions & { limit: number }) =>
      operate(options, async ({ db, config }) => {
        const { listOpenJobs } = await import('../../domain/jobs/jobs.service.ts')
        const jobs = await listOpenJobs({ db }, options.limit)
        const views = jobs.map(job => view(job, workflowLink(config.temporal, workflowIdOf(runOf(job)))))
        return { text: views.length === 0 ? 'No job is running.' : jobsTable(views), json: views }
      }),
    )

const runOf = (job: JobRow) => ({ resourceId: job.resource_id, run: job.run })

const view = (job: JobRow, link: string | undefined) => ({
  id: job.resource_id,
  kind: job.kind,
  state: job.state,
  place: job.place,
  run: job.run,
  user_id: job.user_id,
  project_id: job.project_id,
  summary: job.summary,
  created_at: job.created_at,
  touched_at: job.touched_at,
  workflow_id: workflowIdOf(runOf(job)),
  workflow_url: link ?? null,
})

function jobsTable(jobs: readonly ReturnType<typeof view>[]): string {
  const rows = jobs.map(job => [
    job.id,
    job.kind,
    job.place === 'given' ? job.state : job.place,
    String(job.run),
    duration((Date.now() - job.created_at.getTime()) / 1000),
    job.project_id === null ? job.user_id : `${job.user_id}/${job.project_id}`,
    job.workflow_url ?? job.workflow_id,
  ])
  return table(['JOB', 'KIND', 'STATE', 'RUN', 'AGE', 'TENANT', 'WORKFLOW'], rows, ['RUN', 'AGE'])
}
