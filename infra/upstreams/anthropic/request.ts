import type { MessageCreateParamsBase, TextBlockParam } from '@anthropic-ai/sdk/resources/messages/messages'
import { isFields, type Fields } from '../json.ts'
import { inexpressible } from './failures.ts'
import { conversationOf } from './messages.ts'
import { outputSchema } from './output-schema.ts'
import { samplingOf, thinkingOf, type Sampling } from './thinking.ts'
import { isForced, toolChoiceOf, toolsOf } from './tools.ts'

/** As for every call that names no limit, whose cost is bounded by as much. */
const UNSTATED_OUTPUT_TOKENS = 16_384

type Params = MessageCreateParamsBase & Sampling
export type MessagesRequest = { [Name in keyof Params]: Params[Name] | undefined }

/**
 * A chat completion's body as the Messages API takes it. Fields that it has no counterpart of are left out, as
 * Anthropic's own compatibility layer does (https://platform.claude.com/docs/en/api/openai-sdk), but for those that
 * change what comes back. Errors: UpstreamFailure `rejected` naming the field.
 */
export function messagesRequest(body: Fields): MessagesRequest {
  requireExpressible(body)
  const { system, turns } = conversationOf(body['messages'])
  const maxTokens = maxTokensOf(body)
  const toolChoice = toolChoiceOf(body)
  const { thinking, effort } = thinkingOf(body, { maxTokens, turns, toolForced: isForced(toolChoice) })
  const instructions = [...system, ...formatInstructions(body['response_format'])]
  return {
    model: String(body['model']),
    max_tokens: maxTokens,
    system: instructions.length === 0 ? undefined : instructions,
    messages: turns,
    tools: toolsOf(body['tools']),
    tool_choice: toolChoice,
    thinking,
    output_config: outputConfigOf(body['response_format'], effort),
    stop_sequences: stopSequencesOf(body['stop']),
    metadata: metadataOf(body),
    cache_control: cacheControlOf(body['prompt_cache']),
    stream: body['stream'] === true ? true : undefined,
    ...samplingOf(body, thinking !== undefined && thinking.type !== 'disabled'),
  }
}

function requireExpressible({ n, functions }: Fields): void {
  if (n !== undefined && n !== null && n !== 1) throw inexpressible('`n` must be 1: Anthropic gives one choice.')
  if (functions !== undefined && functions !== null) {
    throw inexpressible('`functions` is not supported: use `tools`.')
  }
}

function maxTokensOf({ max_completion_tokens: newer, max_tokens: older }: Fields): number {
  const asked = newer ?? older
  return typeof asked === 'number' ? asked : UNSTATED_OUTPUT_TOKENS
}

/** Anthropic refuses sequences of white space alone. */
function stopSequencesOf(stop: unknown): string[] | undefined {
  const sequences = [stop].flat().filter(text => typeof text === 'string' && text.trim() !== '') as string[]
  return sequences.length === 0 ? undefined : sequences
}

function metadataOf({ safety_identifier: newer, user: older }: Fields): { user_id: string } | undefined {
  const user = newer ?? older
  return typeof user === 'string' && user !== '' ? { user_id: user } : undefined
}

/** The last block that can be is cached, with all before it. */
function cacheControlOf(hint: unknown): MessagesRequest['cache_control'] {
  if (!isFields(hint)) return undefined
  return { type: 'ephemeral', ttl: hint['ttl'] === '1h' ? '1h' : '5m' }
}

function outputConfigOf(
  format: unknown,
  effort: NonNullable<MessageCreateParamsBase['output_config']>['effort'],
): MessagesRequest['output_config'] {
  const definition = isFields(format) && format['type'] === 'json_schema' ? format['json_schema'] : undefined
  const schema = isFields(definition) ? definition['schema'] : undefined
  if (schema === undefined && effort === undefined) return undefined
  return {
    ...(effort === undefined ? {} : { effort }),
    ...(isFields(schema) ? { format: { type: 'json_schema', schema: outputSchema(schema) } } : {}),
  }
}

/** Anthropic has no format of any JSON object: it is asked for in words. */
const formatInstructions = (format: unknown): TextBlockParam[] =>
  isFields(format) && format['type'] === 'json_object'
    ? [{ type: 'text', text: 'Answer with one JSON object and nothing else: no other text, no code fence.' }]
    : []
