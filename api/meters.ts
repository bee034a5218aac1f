import { MeterEventsQuery, MeterEventSummary } from '../domain/meters/meter.schema.ts'
import { exportMeterEventsCsv, exportMeterEventsJson, getMeterEvents } from '../domain/meters/meter.service.ts'
import { exportContent, exportReply } from './http/exports.ts'
import { nextPage } from './http/pages.ts'
import { binaryRoute, Reply, route } from './http/route.ts'

export const meterRoutes = [
  route({
    method: 'GET',
    path: '/account/meter-events',
    auth: 'apiKey',
    summary: 'List what was metered on your account, with totals',
    description:
      'The totals are those of the whole filter, whatever page of the records is shown. Where there is a next page, ' +
      'its cursor is in `x-next-cursor` and its address in `Link`. `search` is a part of a meter or a model.',
    query: MeterEventsQuery,
    reply: MeterEventSummary,
    handle: async ({ caller, query }, deps) => {
      const { summary, nextCursor } = await getMeterEvents(deps, caller, query)
      return new Reply(summary, { headers: nextPage('/account/meter-events', query, 'cursor', nextCursor) })
    },
  }),
  binaryRoute({
    method: 'GET',
    path: '/account/meter-events/export',
    auth: 'apiKey',
    summary: 'Export what was metered on your account, as JSON or CSV as `Accept` asks',
    query: MeterEventsQuery,
    content: exportContent(MeterEventSummary),
    handle: ({ caller, query, header }, deps) =>
      exportReply(header('accept'), 'meter-events', {
        json: () => exportMeterEventsJson(deps, caller, query),
        csv: () => exportMeterEventsCsv(deps, caller, query),
      }),
  }),
]
