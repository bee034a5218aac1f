import type { Database } from '../../../infra/postgres/database.ts'
import type { SharedTransaction } from '../../../infra/postgres/shared-transaction.ts'
import type { CallFacts } from '../calls/model-call.ts'
import { requireUsableModel } from '../catalog/model-access.rules.ts'
import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import { completeChat, type ChatDeps, type ChatRequest } from '../chat/chat.service.ts'
import { metadataIfSteering } from '../metadata/metadata.rules.ts'
import { badRequest, DomainError } from '../../core/errors.ts'
import type { AppendEvents } from '../../durable/event-log/event-log.writer.ts'
import type { RequireStorage } from '../../tenancy/storage/storage.service.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { writtenJson } from '../threads/stored-json.ts'
import { isStorable } from '../../core/text.rules.ts'
import { messagesOfChain, truncated } from './chain.ts'
import { storedItems } from './input.rules.ts'
import { chatRequestOf, requireServed, requireSettings } from './request.rules.ts'
import {
  endingOf,
  outputOfReply,
  responseUsage,
  responseView,
  settingsOf,
  type ResponseState,
} from './response.rules.ts'
import type { ResponseItem, ResponseObject, ResponsesCreateRequest } from './response.schema.ts'
import { askerOf, storeResponse, type Hold } from './stored-response.ts'

export { selectResponse, setResponseEnded, type ResponseRow, deleteResponseRow } from './response.sql.ts'

export interface ResponseDeps extends ChatDeps {
  sharedTransaction: SharedTransaction
  db: Database
  appendEvents: AppendEvents
  requireStorage: RequireStorage
}

export interface ResponseCall {
  requestId: string
  caller: Caller
  request: ResponsesCreateRequest
  /** Aborts when the client goes away. */
  signal: AbortSignal
  /** Told the figures of the call when it ends. */
  annotate(facts: CallFacts): void
  hold: Hold
}

/** A response before its model is asked. */
export interface PreparedResponse {
  state: ResponseState
  /** As it is stored; empty where it is not. */
  input: string | Uint8Array
  chat: ChatRequest
}

/**
 * A response, answered whole. Errors: those of a chat completion, under the names of this operation's fields;
 * 404 and 409 for `previous_response_id`.
 */
export async function createResponse(
  deps: ResponseDeps,
  call: ResponseCall,
): Promise<{ response: ResponseObject; sandbox: boolean }> {
  const { state, input, chat } = await prepareResponse(deps, call)
  const { reply, sandbox } = await completeChat(deps, chat).catch(renamed)
  const { output, finishReason } = outputOfReply(reply.choices[0] ?? {}, itemIds(state.id))
  const ended = { ...state, ...endingOf(finishReason), output, usage: responseUsage(reply.usage) }
  return { response: responseView(await storedOrNot(deps, call.caller, ended, input)), sandbox }
}

/** It was paid: a response that cannot be stored is given all the same, and says that it is not. */
async function storedOrNot(
  deps: ResponseDeps,
  caller: Caller,
  state: ResponseState,
  input: string | Uint8Array,
): Promise<ResponseState> {
  if (!state.settings.store) return state
  try {
    await storeResponse(deps, deps.db, caller, state, input)
    return state
  } catch (error) {
    deps.log.error({ responseId: state.id, err: error }, 'a response that was paid could not be stored')
    return notStored(state)
  }
}

/** As it is told where it was to be stored and could not be. */
export const notStored = (state: ResponseState): ResponseState => ({
  ...state,
  settings: { ...state.settings, store: false },
})

/** Everything that is checked and read before the model is asked. */
export async function prepareResponse(deps: ResponseDeps, call: ResponseCall): Promise<PreparedResponse> {
  const { request, caller, requestId } = call
  requireServed(request)
  requireSettings(request)
  if (!isStorable(request)) throw badRequest('The request holds a NUL or an unpaired surrogate.', 'input')
  const id = `resp_${requestId.replaceAll('-', '')}`
  const items = requireInput(request.input, id)
  const model = requireUsableModel(deps.catalog, request.model, caller.rules)
  const settings = settingsOf(request)
  const [messages] = await Promise.all([
    messagesOfChain(deps, caller, request, items, call.hold),
    settings.store ? deps.requireStorage(caller.owner.userId) : undefined,
  ])
  const sent =
    request.truncation === 'auto'
      ? await truncated(deps, { tenant: caller.owner.userId, signal: call.signal }, messages, model)
      : [...messages.instructions, ...messages.conversation]
  const metadata = metadataIfSteering(request.metadata)
  const chatRequest: ChatCompletionRequest = { ...chatRequestOf(request, sent), ...(metadata && { metadata }) }
  const state: ResponseState = {
    id,
    model: model.id,
    createdAt: new Date(),
    previousResponseId: request.previous_response_id ?? null,
    settings,
    status: 'in_progress',
    background: false,
    output: [],
    usage: null,
    error: null,
    incompleteReason: null,
  }
  return {
    state,
    input: settings.store ? await writtenJson(deps, askerOf(caller.owner), items) : '',
    chat: {
      requestId,
      caller,
      surface: 'responses',
      request: chatRequest,
      signal: call.signal,
      annotate: facts => call.annotate(facts),
    },
  }
}

function requireInput(input: unknown, responseId: string): ResponseItem[] {
  const ids = itemIds(responseId)
  const items = storedItems(input, index => ids('in', index))
  if (items.length === 0) throw badRequest('`input` is required: a text, or a list of items.', 'input')
  return items
}

/** The turn that makes a background response has its uuid, and so its log. */
export const turnIdOf = (responseId: string): string => responseId.replace(/^resp_/, 'turn_')

/** Ids of a response's items: the response's own, and where they stand in it. */
export const itemIds =
  (responseId: string) =>
  (prefix: 'msg' | 'fc' | 'in', index: number): string =>
    `${prefix === 'in' ? 'msg_in' : prefix}_${responseId.replace(/^resp_/, '')}${index.toString().padStart(4, '0')}`

const NAMES: [RegExp, string][] = [
  [/^messages\b.*/, 'input'],
  [/^max_(completion_)?tokens$/, 'max_output_tokens'],
  [/^response_format\b.*/, 'text.format'],
  [/^reasoning_effort$/, 'reasoning.effort'],
  [/^(tools\.\d+)\.function\.(.*)$/, '$1.$2'],
]

/** The field as this operation names it. */
export function renamed(error: unknown): never {
  if (!(error instanceof DomainError) || error.param === undefined) throw error
  const [pattern, name] = NAMES.find(([known]) => known.test(error.param ?? '')) ?? []
  if (pattern === undefined || name === undefined) throw error
  const { status, code, type, retryable, retryAfterSeconds } = error
  const param = error.param.replace(pattern, name)
  throw new DomainError(status, code, error.message.replaceAll(error.param, param), {
    ...(type === undefined ? {} : { type }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    param,
    retryable,
    cause: error,
  })
}
