import type { ContentBlockParam, TextBlockParam } from '@anthropic-ai/sdk/resources/messages/messages'
import { isFields, type Fields } from '../json.ts'
import { inexpressible } from './failures.ts'
import { blocksOf, textsOf } from './parts.ts'
import { thinkingBlocks } from './reasoning.ts'
import { toolResult, toolUses } from './tool-calls.ts'

export interface Turn {
  role: 'user' | 'assistant'
  content: ContentBlockParam[]
}

export interface Conversation {
  system: TextBlockParam[]
  turns: Turn[]
}

/**
 * OpenAI's messages as Anthropic's: system and developer messages become the system prompt, wherever they stand;
 * results of tools are the user's, and stand first in its turn; messages of one role in a row are one turn.
 * Errors: UpstreamFailure naming a field that Anthropic's format has no words for.
 */
export function conversationOf(messages: unknown): Conversation {
  const conversation: Conversation = { system: [], turns: [] }
  const all = Array.isArray(messages) ? messages : []
  all.forEach((message: unknown, index) =>
    addMessage(conversation, isFields(message) ? message : {}, `messages.${index}`),
  )
  return conversation
}

function addMessage({ system, turns }: Conversation, message: Fields, path: string): void {
  const contentPath = `${path}.content`
  switch (message['role']) {
    case 'system':
    case 'developer':
      return void system.push(...textsOf(message['content'], contentPath))
    case 'user':
      return addTurn(turns, 'user', blocksOf(message['content'], contentPath))
    case 'tool':
      return addTurn(turns, 'user', [toolResult(message, path)])
    case 'assistant':
      return addTurn(turns, 'assistant', assistantBlocks(message, path))
    default:
      throw inexpressible(`Anthropic takes no messages of the role of \`${path}.role\`.`)
  }
}

/** Thinking comes first: Anthropic wants it so where tools are used. */
function assistantBlocks(message: Fields, path: string): ContentBlockParam[] {
  if (isFields(message['function_call'])) {
    throw inexpressible(`\`${path}.function_call\` is not supported: use \`tool_calls\`.`)
  }
  return [
    ...thinkingBlocks(message['reasoning_details']),
    ...textsOf(message['content'], `${path}.content`),
    ...toolUses(message['tool_calls'], `${path}.tool_calls`),
  ]
}

function addTurn(turns: Turn[], role: Turn['role'], content: ContentBlockParam[]): void {
  if (content.length === 0) return
  const last = turns.at(-1)
  if (last?.role === role) last.content = resultsFirst([...last.content, ...content])
  else turns.push({ role, content })
}

/** Anthropic refuses results of tools that do not stand first. */
function resultsFirst(blocks: ContentBlockParam[]): ContentBlockParam[] {
  const isResult = ({ type }: ContentBlockParam) => type === 'tool_result'
  return [...blocks.filter(isResult), ...blocks.filter(block => !isResult(block))]
}
