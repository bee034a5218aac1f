import { MeterEventsQuery, MeterEventSummary } from '../../../domain/money/meters/meter.schema.ts'
import {
  exportMeterEventsCsv,
  exportMeterEventsJson,
  getMeterEvents,
} from '../../../domain/money/meters/meter.service.ts'
import { exported, exportReply } from '../../http/gives/exports.ts'
import { nextPage } from '../../http/pages.ts'
import { Reply } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

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
    gives: json(MeterEventSummary),
    handle: async ({ caller, query }, deps) => {
      const { summary, nextCursor } = await getMeterEvents(deps, caller, query)
      return new Reply(summary, { headers: nextPage('/account/meter-events', query, 'cursor', nextCursor) })
    },
  }),
  route({
    method: 'GET',
    path: '/account/meter-events/export',
    auth: 'apiKey',
    summary: 'Export what was metered on your account, as JSON or CSV as `Accept` asks',
    query: MeterEventsQuery,
    gives: exported(MeterEventSummary),
    handle: ({ caller, query, header }, deps) =>
      exportReply(header('accept'), 'meter-events', {
        json: () => exportMeterEventsJson(deps, caller, query),
        csv: () => exportMeterEventsCsv(deps, caller, query),
      }),
  }),
]
