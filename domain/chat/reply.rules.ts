import type { ChatCompletionResponse, IpopMetadata, Usage } from './chat.schema.ts'

type Fields = Record<string, unknown>

/** What a reply says of itself, whatever the upstream said. */
export interface ReplyHead {
  id: string
  created: number
  model: string
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null

/** The contract's fields of a choice; upstreams add their own. */
function closedChoice(choice: unknown, content: 'message' | 'delta'): Fields[] {
  if (!isFields(choice)) return []
  const { index, finish_reason, logprobs } = choice
  return [
    {
      index: index ?? 0,
      [content]: choice[content] ?? {},
      finish_reason: finish_reason ?? null,
      ...(logprobs === undefined ? {} : { logprobs }),
    },
  ]
}

const closedChoices = (body: Fields, content: 'message' | 'delta'): Fields[] =>
  Array.isArray(body['choices']) ? body['choices'].flatMap(choice => closedChoice(choice, content)) : []

/** The closed reply of a completion. */
export const completionView = (
  head: ReplyHead,
  upstream: Fields,
  usage: Usage,
  ipop: IpopMetadata,
): ChatCompletionResponse => ({
  ...head,
  object: 'chat.completion',
  choices: closedChoices(upstream, 'message'),
  usage,
  ipop,
})

/** The closed form of a stream's chunk; undefined where it holds no choice (the upstream's own usage chunk). */
export function chunkView(head: ReplyHead, chunk: Fields): Fields | undefined {
  const choices = closedChoices(chunk, 'delta')
  return choices.length === 0 ? undefined : { ...head, object: 'chat.completion.chunk', choices }
}

/** The last chunk of a stream, with what is known only then. */
export const closingChunk = (head: ReplyHead, usage: Usage, ipop: IpopMetadata): Fields => ({
  ...head,
  object: 'chat.completion.chunk',
  choices: [],
  usage,
  ipop,
})

/** The text that choices hold, for counting tokens where the upstream gives no usage: content, reasoning, tool calls. */
export function textOfChoices(body: Fields, content: 'message' | 'delta'): string {
  if (!Array.isArray(body['choices'])) return ''
  return body['choices'].map(choice => (isFields(choice) ? textOfMessage(choice[content]) : '')).join('')
}

function textOfMessage(message: unknown): string {
  if (!isFields(message)) return ''
  const calls = Array.isArray(message['tool_calls']) ? (message['tool_calls'] as ({ function?: Fields } | null)[]) : []
  const pieces = [
    message['content'],
    message['reasoning'] ?? message['reasoning_content'],
    message['refusal'],
    ...calls.flatMap(call => [call?.function?.['name'], call?.function?.['arguments']]),
  ]
  return pieces.filter(piece => typeof piece === 'string').join('')
}

/** Whether the sandbox model answered. */
export const isSandboxReply = (headers: ReadonlyMap<string, string>): boolean =>
  headers.get('x-ipop-sandbox') === 'true'
