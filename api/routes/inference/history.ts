import { Type } from 'typebox'
import { ChatCompletionResponse } from '../../../domain/inference/chat-request/chat.schema.ts'
import { giveFeedback } from '../../../domain/inference/history/feedback.ts'
import {
  HistoryExportQuery,
  HistoryQuery,
  RequestFeedbackRequest,
  RequestFeedbackResponse,
  RequestHistoryList,
  RequestHistoryRecord,
} from '../../../domain/inference/history/history.schema.ts'
import {
  exportHistoryCsv,
  exportHistoryJson,
  getRequest,
  listHistory,
} from '../../../domain/inference/history/history.service.ts'
import { replayRequest } from '../../../domain/inference/history/replay.ts'
import { SANDBOX_HEADER } from './chat.ts'
import { exported, exportReply } from '../../http/gives/exports.ts'
import { nextPage } from '../../http/pages.ts'
import { Reply } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const RequestParams = Type.Object({ request_id: Type.String() })
const errors = { 404: 'There is no such request' }

export const historyRoutes = [
  route({
    method: 'GET',
    path: '/request-history',
    auth: 'apiKey',
    summary: 'List your requests, the newest first',
    description:
      'Where there is a next page, its cursor is in `x-next-cursor` and its address in `Link`. Prompts are never part ' +
      'of a record; the beginning of a reply is, where the inference policy of its project keeps content.',
    query: HistoryQuery,
    gives: json(RequestHistoryList),
    handle: async ({ caller, query }, deps) => {
      const { records, nextCursor } = await listHistory(deps, caller, query)
      return new Reply(records, { headers: nextPage('/request-history', query, 'after', nextCursor) })
    },
  }),
  route({
    method: 'GET',
    path: '/request-history/export',
    auth: 'apiKey',
    summary: 'Export all of your requests, as JSON or CSV as `Accept` asks',
    query: HistoryExportQuery,
    gives: exported(RequestHistoryList),
    handle: ({ caller, query, header }, deps) =>
      exportReply(header('accept'), 'request-history', {
        json: () => exportHistoryJson(deps, caller, query),
        csv: () => exportHistoryCsv(deps, caller, query),
      }),
  }),
  route({
    method: 'GET',
    path: '/request-history/{request_id}',
    auth: 'apiKey',
    summary: 'Get one of your requests',
    params: RequestParams,
    gives: json(RequestHistoryRecord),
    errors,
    handle: ({ caller, params }, deps) => getRequest(deps, caller, params.request_id),
  }),
  route({
    method: 'POST',
    path: '/request-history/{request_id}/feedback',
    auth: 'apiKey',
    summary: 'Say how good a reply was',
    description: 'One row per request and key: what is said later updates the fields it names.',
    params: RequestParams,
    takes: json(RequestFeedbackRequest),
    gives: json(RequestFeedbackResponse),
    errors,
    handle: ({ caller, params, body }, deps) => giveFeedback(deps, caller, params.request_id, body),
  }),
  route({
    method: 'POST',
    path: '/request-history/{request_id}/replay',
    auth: 'apiKey',
    summary: 'Ask the same model again what a retained request asked',
    description: 'Billed as any call. 409 where the request was not retained, or not as it was.',
    params: RequestParams,
    gives: json(ChatCompletionResponse),
    errors: { ...errors, 409: 'The request was not retained' },
    handle: async ({ requestId, caller, params, signal, annotate }, deps) => {
      const call = { requestId, caller, originalId: params.request_id, signal, annotate }
      const { reply, sandbox } = await replayRequest(deps, call)
      return new Reply(reply, { headers: sandbox ? SANDBOX_HEADER : {} })
    },
  }),
]
