import { estimatedInputTokens } from './input-bound.rules.ts'
import type { ChatCompletionRequest } from './chat.schema.ts'

type Messages = ChatCompletionRequest['messages']

/** What a conversation is to fit into. */
export interface Fit {
  /** Before the conversation, and never left out. */
  instructions: Messages
  conversation: Messages
  mostTokens: number
}

const tokensOf = (message: Messages[number]): number => estimatedInputTokens({ messages: [message] })

/**
 * Where a conversation begins so that as much of it as may be fits, by a quick estimate. A turn goes as a whole, from
 * one message of the user to the next: an answer without its question, or a tool's result without its call, would be
 * refused. Each message is looked at once.
 */
export function startThatFits({ instructions, conversation, mostTokens }: Fit): number {
  const tokens = conversation.map(tokensOf)
  let rest = [...instructions.map(tokensOf), ...tokens].reduce((sum, one) => sum + one, 0)
  let lastTurn = 0
  for (const [index, { role }] of conversation.entries()) {
    const isStart = index === 0 || role === 'user'
    if (isStart && rest <= mostTokens) return index
    if (role === 'user') lastTurn = index
    rest -= tokens[index] ?? 0
  }
  return lastTurn
}
