import { isFields, type Fields } from '../json.ts'
import { finishOf, nothingCame, settledFinish } from './finish.ts'
import { isFilled, normalMessage, textOfMessage } from './message.ts'
import { indexOf } from './choice.ts'
import { wholeCalls } from './tool-calls.ts'

/**
 * A whole chat completion with its choices in their normal form; its other fields stay.
 * Errors: UpstreamFailure where no choice says anything, or one ended with an error.
 */
export function normalReply(body: Fields): Fields {
  const raw = choicesOf(body)
  const choices = raw.map(normalChoice)
  const hasEnded = raw.some(choice => finishOf(choice['finish_reason']) !== undefined)
  if (!hasEnded && !choices.some(choice => says(messageOf(choice)))) throw nothingCame()
  return { ...body, choices }
}

/** All texts of a reply, for counting tokens where the upstream gives no usage. */
export const textOfReply = (body: Fields): string =>
  choicesOf(body)
    .map(choice => textOfMessage(messageOf(choice)))
    .join('')

const choicesOf = (body: Fields): Fields[] => {
  const choices = body['choices']
  return Array.isArray(choices) ? choices.filter(isFields) : []
}

const messageOf = ({ message }: Fields): Fields => (isFields(message) ? message : {})
const says = (message: Fields): boolean => textOfMessage(message) !== '' || isFilled(message)

function normalChoice(raw: Fields, position: number): Fields {
  const { tool_calls: listed, ...message } = normalMessage(messageOf(raw))
  const calls = Array.isArray(listed) ? wholeCalls(listed) : []
  const finish = finishOf(raw['finish_reason']) ?? 'stop'
  return {
    index: indexOf(raw, position),
    message: { role: 'assistant', content: null, ...message, ...(calls.length > 0 && { tool_calls: calls }) },
    finish_reason: settledFinish(finish, calls.length > 0),
    ...(raw['logprobs'] !== undefined && { logprobs: raw['logprobs'] }),
  }
}
