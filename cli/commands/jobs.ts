import type { Command } from 'commander'
import type { JobRow } from '../../domain/durable/jobs/jobs.sql.ts'
import type { Config } from '../../infra/config.ts'
import { usdText } from '../../domain/money/ledger/money.rules.ts'
import { workflowIdOf } from '../../domain/durable/jobs/jobs.rules.ts'
import { group, operatorCommand, wholeNumber } from '../operator/declare.ts'
import { operate, type OutputOptions } from '../operator/operator.ts'
import { duration, fields, moment, table } from '../operator/text.ts'
import { workflowLink } from '../operator/workflow-link.ts'

const DEFAULT_JOBS = 100
const MOST_JOBS = 10_000

export const jobsCommand = (): Command => group('jobs', 'Durable jobs.', [list(), show()])

const service = () => import('../../domain/durable/jobs/jobs.service.ts')

const list = () =>
  operatorCommand(
    'list',
    'List running jobs, the newest first, with their workflows in Temporal, and what their failed attempts cost us.',
    'ipop jobs list',
    'ipop jobs list --uncharged --json',
  )
    .option('--limit <n>', 'how many', wholeNumber(1, MOST_JOBS), DEFAULT_JOBS)
    .option('--uncharged', 'those, running or ended, that used something upstream that nobody is charged for')
    .action((options: OutputOptions & { limit: number; uncharged?: boolean }) =>
      operate(options, async ({ db, config }) => {
        const { listOpenJobs, listUnchargedJobs } = await service()
        const jobs = await (options.uncharged === true ? listUnchargedJobs : listOpenJobs)({ db }, options.limit)
        const views = jobs.map(job => view(job, linkOf(config, job)))
        const none = options.uncharged === true ? 'All that jobs used was charged.' : 'No job is running.'
        return { text: views.length === 0 ? none : jobsTable(views), json: views }
      }),
    )

const show = () =>
  operatorCommand('show', 'Show a job, running or ended.', 'ipop jobs show turn_0198…')
    .argument('<job>', 'id of the job')
    .action((id: string, options: OutputOptions) =>
      operate(options, async ({ db, config }) => {
        const job = await (await service()).getJob({ db }, id)
        const shown = { ...view(job, linkOf(config, job)), ...endOf(job) }
        return { text: fields(Object.entries(shown).map(([name, value]) => [name, textOf(value)])), json: shown }
      }),
    )

const linkOf = ({ temporal }: Config, job: JobRow) => workflowLink(temporal, workflowIdOf(runOf(job)))

const endOf = ({ outcome, lost_runs, ended_at }: JobRow) => ({ outcome, lost_runs, ended_at })

const textOf = (value: Date | string | number | null): string =>
  value instanceof Date ? moment(value) : value === null ? '-' : String(value)

const runOf = (job: JobRow) => ({ resourceId: job.resource_id, run: job.run })

const view = (job: JobRow, link: string | undefined) => ({
  id: job.resource_id,
  kind: job.kind,
  state: job.state,
  slot: job.slot,
  run: job.run,
  user_id: job.user_id,
  project_id: job.project_id,
  summary: job.summary,
  created_at: job.created_at,
  touched_at: job.touched_at,
  uncharged_usd: usdText(job.uncharged_nanos),
  workflow_id: workflowIdOf(runOf(job)),
  workflow_url: link ?? null,
})

const FIGURES = ['RUN', 'AGE', 'UNCHARGED USD']
const TITLES = ['JOB', 'KIND', 'STATE', ...FIGURES, 'TENANT', 'WORKFLOW']

function jobsTable(jobs: readonly ReturnType<typeof view>[]): string {
  const rows = jobs.map(job => [
    job.id,
    job.kind,
    job.slot === 'given' ? job.state : job.slot,
    String(job.run),
    duration((Date.now() - job.created_at.getTime()) / 1000),
    job.uncharged_usd === '0.00' ? '-' : job.uncharged_usd,
    job.project_id === null ? job.user_id : `${job.user_id}/${job.project_id}`,
    job.workflow_url ?? job.workflow_id,
  ])
  return table(TITLES, rows, FIGURES)
}
