import { UsageExportQuery, UsageQuery, UsageSummary } from '../../../domain/money/usage/usage.schema.ts'
import { exportUsageCsv, exportUsageJson, getUsage } from '../../../domain/money/usage/usage.service.ts'
import { exported, exportReply } from '../../http/gives/exports.ts'
import { nextPage } from '../../http/pages.ts'
import { Reply } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

export const usageRoutes = [
  route({
    method: 'GET',
    path: '/usage',
    auth: 'apiKey',
    summary: 'List your model calls, the newest first, with totals over the whole filter',
    description: 'The next page is at `after` = the header `x-next-cursor`; `Link` has the same with `rel="next"`.',
    query: UsageQuery,
    gives: json(UsageSummary),
    handle: async ({ caller, query }, deps) => {
      const { summary, nextCursor } = await getUsage(deps, caller, query)
      return new Reply(summary, { headers: nextPage('/usage', query, 'after', nextCursor) })
    },
  }),
  route({
    method: 'GET',
    path: '/usage/export',
    auth: 'apiKey',
    summary: 'Export all of your model calls, as JSON or CSV as `Accept` asks',
    query: UsageExportQuery,
    gives: exported(UsageSummary),
    handle: ({ caller, query, header }, deps) =>
      exportReply(header('accept'), 'usage', {
        json: () => exportUsageJson(deps, caller, query),
        csv: () => exportUsageCsv(deps, caller, query),
      }),
  }),
]
