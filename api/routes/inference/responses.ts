import { Type } from 'typebox'
import { countResponseInput } from '../../../domain/inference/responses/input-tokens.ts'
import {
  InputItemsQuery,
  ResponseDeleted,
  ResponseInputItemList,
  ResponseInputTokensRequest,
  ResponseInputTokensResponse,
  ResponseObject,
  ResponseQuery,
  ResponsesCreateRequest,
} from '../../../domain/inference/responses/response.schema.ts'
import {
  cancelResponse,
  createBackgroundResponse,
  getResponse,
} from '../../../domain/work/background-responses/background.ts'
import { listInputItems } from '../../../domain/inference/responses/input-items.ts'
import { createResponse } from '../../../domain/inference/responses/response.service.ts'
import { deleteResponse } from '../../../domain/work/background-responses/delete-response.ts'
import { replayResponse } from '../../../domain/work/background-responses/response-replay.ts'
import { streamResponse } from '../../../domain/inference/responses/response-stream.ts'
import { SANDBOX_HEADER } from './chat.ts'
import { events, EventStream, Reply } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'
import { failureAsTyped } from '../../http/gives/stream-failure.ts'

const BODY_LIMIT_BYTES = 32 * 1024 * 1024
const ResponseParams = Type.Object({ response_id: Type.String() })
const errors = { 404: 'There is no such response' }

export const responseRoutes = [
  route({
    method: 'POST',
    path: '/responses',
    auth: 'apiKey',
    summary: 'Create a response',
    description:
      "OpenAI's Responses over any model of the catalog: text and images, function tools, structured text, " +
      '`previous_response_id`, typed events with `stream: true`. Tools that are not served are refused by name. With ' +
      '`background: true` it answers at once, and the response is made whatever becomes of its client.',
    takes: json(ResponsesCreateRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: [json(ResponseObject), events()],
    errors: { 403: 'The key may not use the model', 404: 'There is no such model, or no such response before' },
    idempotent: ({ body }) => body.background !== true,
    streams: ({ body }) => body.stream === true,
    handle: async ({ requestId, caller, body, repeatable, signal, hold, annotate }, deps) => {
      const call = { requestId, caller, request: body, signal, hold, annotate }
      if (body.background === true) {
        const response = await createBackgroundResponse(deps, call, repeatable)
        if (body.stream !== true) return response
        const events = await replayResponse(deps, caller, response.id, -1, { signal, hold })
        return new EventStream(events, failureAsTyped, { resumable: true })
      }
      if (body.stream === true) {
        const { events, sandbox } = await streamResponse(deps, call)
        return new EventStream(events, failureAsTyped, sandbox ? { headers: SANDBOX_HEADER } : {})
      }
      const { response, sandbox } = await createResponse(deps, call)
      return new Reply(response, { headers: sandbox ? SANDBOX_HEADER : {} })
    },
  }),
  route({
    method: 'POST',
    path: '/responses/input_tokens',
    auth: 'apiKey',
    summary: "Count the tokens of a response's input",
    takes: json(ResponseInputTokensRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: json(ResponseInputTokensResponse),
    errors: { 403: 'The key may not use the model', 404: 'There is no such model, or no such response before' },
    handle: ({ caller, body, signal, hold }, deps) => countResponseInput(deps, caller, body, { signal, hold }),
  }),
  route({
    method: 'GET',
    path: '/responses/{response_id}',
    auth: 'apiKey',
    summary: 'Get a stored response',
    description: 'With `stream=true` its events, after `starting_after` where that is given.',
    params: ResponseParams,
    query: ResponseQuery,
    gives: [json(ResponseObject), events()],
    errors,
    streams: ({ query }) => query.stream === true,
    handle: async ({ caller, params, query, signal, hold }, deps) => {
      if (query.stream !== true) return getResponse(deps, caller, params.response_id, hold)
      const after = query.starting_after ?? -1
      const events = await replayResponse(deps, caller, params.response_id, after, { signal, hold })
      return new EventStream(events, failureAsTyped, { resumable: true })
    },
  }),
  route({
    method: 'DELETE',
    path: '/responses/{response_id}',
    auth: 'apiKey',
    summary: 'Delete a stored response',
    params: ResponseParams,
    gives: json(ResponseDeleted),
    errors,
    handle: ({ caller, params }, deps) => deleteResponse(deps, caller, params.response_id),
  }),
  route({
    method: 'POST',
    path: '/responses/{response_id}/cancel',
    auth: 'apiKey',
    summary: 'Cancel a background response',
    params: ResponseParams,
    gives: json(ResponseObject),
    errors,
    handle: ({ caller, params, signal, hold }, deps) =>
      cancelResponse(deps, caller, params.response_id, { signal, hold }),
  }),
  route({
    method: 'GET',
    path: '/responses/{response_id}/input_items',
    auth: 'apiKey',
    summary: "List a response's input items",
    params: ResponseParams,
    query: InputItemsQuery,
    gives: json(ResponseInputItemList),
    errors,
    handle: ({ caller, params, query, hold }, deps) => listInputItems(deps, caller, params.response_id, query, hold),
  }),
]
