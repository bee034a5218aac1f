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
function closedChoice(choice: Fields, content: 'message' | 'delta'): Fields {
  const closed: Fields = { index: choice['index'] ?? 0 }
  closed[content] = choice[content] ?? {}
  closed['finish_reason'] = choice['finish_reason'] ?? null
  if (choice['logprobs'] !== undefined) closed['logprobs'] = choice['logprobs']
  return closed
}

/** The choices of an upstream's reply or chunk, in their closed form. */
export function closedChoices(body: Fields, content: 'message' | 'delta'): Fields[] {
  const choices: unknown = body['choices']
  return Array.isArray(choices) ? choices.filter(isFields).map(choice => closedChoice(choice, content)) : []
}

/** The closed reply of a completion. */
export const completionView = (
  head: ReplyHead,
  upstream: Fields,
  usage: Usage,
  ipop: IpopMetadata,
): ChatCompletionResponse => ({
  id: head.id,
  created: head.created,
  model: head.model,
  object: 'chat.completion',
  choices: closedChoices(upstream, 'message'),
  usage,
  ipop,
})

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
  const choices: unknown = body['choices']
  if (!Array.isArray(choices)) return ''
  let text = ''
  for (const choice of choices) if (isFields(choice)) text += textOfMessage(choice[content])
  return text
}

function textOfMessage(message: unknown): string {
  if (!isFields(message)) return ''
  const { content, reasoning, reasoning_content, refusal, tool_calls: calls } = message
  const said = textOr(content) + textOr(reasoning ?? reasoning_content) + textOr(refusal)
  return Array.isArray(calls) ? said + (calls as ({ function?: Fields } | null)[]).map(textOfCall).join('') : said
}

const textOr = (value: unknown): string => (typeof value === 'string' ? value : '')
const textOfCall = (call: { function?: Fields } | null): string =>
  textOr(call?.function?.['name']) + textOr(call?.function?.['arguments'])

/** Whether the sandbox model answered. */
export const isSandboxReply = (headers: { get(name: string): string | undefined }): boolean =>
  headers.get('x-ipop-sandbox') === 'true'
