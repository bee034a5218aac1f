import type { ChatCompletionRequest, ChatCompletionResponse } from '../chat-request/chat.schema.ts'
import type { IpopMetadata } from '../metadata/reply-metadata.schema.ts'
import type { Usage } from '../tokens/usage.schema.ts'
import { badRequest, DomainError } from '../../core/errors.ts'
import { MOST_PROMPTS, type CompletionChoice, type CompletionRequest } from './completion.schema.ts'

type Fields = Record<string, unknown>

/** OpenAI's, of its legacy completions. */
const DEFAULT_MAX_TOKENS = 16
/** What chats have and completions have not, and what is read here. */
const NOT_PASSED = new Set(
  (
    'prompt suffix logprobs best_of echo ' +
    'messages tools tool_choice parallel_tool_calls functions function_call max_completion_tokens'
  ).split(' '),
)

/** The prompts of a request, in order. Errors: 400 naming what completions over chat cannot do. */
export function promptsOf(request: CompletionRequest): string[] {
  refuseWhatChatsCannot(request)
  const prompts = [request.prompt].flat()
  if (prompts.length > MOST_PROMPTS) throw badRequest(`\`prompt\` may hold ${MOST_PROMPTS} prompts at most.`, 'prompt')
  return prompts.map(prompt => {
    if (typeof prompt === 'string') return prompt
    throw badRequest('`prompt` must be text: token ids are not taken, since each model has its own.', 'prompt')
  })
}

function refuseWhatChatsCannot({ suffix, logprobs, best_of: bestOf, n }: CompletionRequest): void {
  if (suffix !== undefined && suffix !== null && suffix !== '') {
    throw badRequest('`suffix` is not served: models here answer prompts and do not fill gaps in texts.', 'suffix')
  }
  if (logprobs !== undefined && logprobs !== null) {
    throw badRequest(
      '`logprobs` are not served here; `/chat/completions` gives those of models that have them.',
      'logprobs',
    )
  }
  if (bestOf !== undefined && bestOf !== null && bestOf !== (n ?? 1)) {
    throw badRequest('`best_of` is not served: ask for `n` completions and choose among them.', 'best_of')
  }
}

/** The chat that answers a prompt. */
export const chatOfPrompt = (request: CompletionRequest, prompt: string): ChatCompletionRequest => ({
  ...Object.fromEntries(Object.entries(request).filter(([name]) => !NOT_PASSED.has(name))),
  model: request.model,
  messages: [{ role: 'user', content: prompt }],
  max_tokens: request.max_tokens ?? DEFAULT_MAX_TOKENS,
})

/** A chat's choices, of a reply or a chunk, as those of the completion's `place`th prompt. */
export function choicesOf(
  choices: readonly Fields[],
  promptIndex: number,
  perPrompt: number,
  before = '',
): CompletionChoice[] {
  return choices.map(choice => {
    const message = (choice['message'] ?? choice['delta'] ?? {}) as Fields
    return {
      text: before + (typeof message['content'] === 'string' ? message['content'] : ''),
      index: promptIndex * perPrompt + Number(choice['index'] ?? 0),
      logprobs: null,
      finish_reason: typeof choice['finish_reason'] === 'string' ? choice['finish_reason'] : null,
    }
  })
}

/** What stands for a prompt whose chat failed, where others did not. */
export const failedChoice = (index: number, { message, type, code, param }: DomainError): CompletionChoice => ({
  text: '',
  index,
  logprobs: null,
  finish_reason: 'error',
  error: { message, type: type ?? null, code, param: param ?? null },
})

/** An error of the chat in the words of the completion. */
export function errorOfPrompt(error: unknown): unknown {
  if (!(error instanceof DomainError) || error.param?.startsWith('messages') !== true) return error
  const { status, code, message, type, retryAfterSeconds, retryable, cause } = error
  return new DomainError(status, code, message, {
    param: 'prompt',
    retryable,
    cause,
    ...(type === undefined ? {} : { type }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  })
}

/** What several chats used and cost together. */
export function sumOf(requestId: string, [first, ...others]: readonly [Figures, ...Figures[]]): Figures {
  const sum = others.reduce((total, one) => added(total, one), first)
  return { usage: sum.usage, ipop: others.length === 0 ? first.ipop : { ...sum.ipop, request_id: requestId } }
}

type Figures = Pick<ChatCompletionResponse, 'usage' | 'ipop'>

function added(one: Figures, other: Figures): Figures {
  return {
    usage: addedUsage(one.usage, other.usage),
    ipop: {
      request_id: one.ipop.request_id,
      latency_ms: Math.max(one.ipop.latency_ms, other.ipop.latency_ms),
      cost_usd: Number((one.ipop.cost_usd + other.ipop.cost_usd).toFixed(9)),
      cache_hit: one.ipop.cache_hit && other.ipop.cache_hit,
    } satisfies IpopMetadata,
  }
}

const addedUsage = (one: Usage, other: Usage): Usage => ({
  prompt_tokens: one.prompt_tokens + other.prompt_tokens,
  completion_tokens: one.completion_tokens + other.completion_tokens,
  total_tokens: one.total_tokens + other.total_tokens,
})
