import { Type } from 'typebox'
import { UsageExportQuery, UsageQuery, UsageSummary } from '../domain/usage/usage.schema.ts'
import { exportUsageCsv, exportUsageJson, getUsage } from '../domain/usage/usage.service.ts'
import { binaryRoute, Reply, route } from './http/route.ts'

const CSV = 'text/csv'

export const usageRoutes = [
  route({
    method: 'GET',
    path: '/usage',
    auth: 'apiKey',
    summary: 'List your model calls, the newest first, with totals over the whole filter',
    description: 'The next page is at `after` = the header `x-next-cursor`; `Link` has the same with `rel="next"`.',
    query: UsageQuery,
    reply: UsageSummary,
    handle: async ({ caller, query }, deps) => {
      const { summary, nextCursor } = await getUsage(deps, caller, query)
      return new Reply(summary, { headers: nextCursor === undefined ? {} : nextPage(query, nextCursor) })
    },
  }),
  binaryRoute({
    method: 'GET',
    path: '/usage/export',
    auth: 'apiKey',
    summary: 'Export all of your model calls, as JSON or CSV as `Accept` asks',
    query: UsageExportQuery,
    content: { 'application/json': UsageSummary, [CSV]: Type.String() },
    handle: ({ caller, query, header }, deps) => {
      if (!(header('accept') ?? '').includes(CSV)) {
        return { contentType: 'application/json', body: exportUsageJson(deps, caller, query) }
      }
      return {
        contentType: `${CSV}; charset=utf-8`,
        headers: { 'content-disposition': 'attachment; filename="usage.csv"' },
        body: exportUsageCsv(deps, caller, query),
      }
    },
  }),
]

function nextPage(query: object, cursor: string): Record<string, string> {
  const given = Object.entries(query).map(([name, value]) => [name, String(value)] as [string, string])
  const parameters = new URLSearchParams([...given.filter(([name]) => name !== 'after'), ['after', cursor]])
  return { 'x-next-cursor': cursor, link: `</v1/usage?${parameters.toString()}>; rel="next"` }
}
