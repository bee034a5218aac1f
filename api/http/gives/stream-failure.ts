import type { ErrorBody } from '../../../domain/core/errors.schema.ts'
import type { FailureEvent, StreamEvent } from './gives.ts'

/** As OpenAI's chat streams have it: the SDKs throw it. */
export const failureAsData: FailureEvent = failure => JSON.stringify({ error: fieldsOf(failure) })

/** For a stream of named events. */
export const failureAsEvent: FailureEvent = failure => ({
  event: 'error',
  data: failureAsData(failure, undefined) as string,
})

/** OpenAI's `error` event of Responses (its API reference, "Streaming events"). */
export const failureAsTyped: FailureEvent = (failure, last) => {
  const { message, code } = fieldsOf(failure)
  return {
    event: 'error',
    data: JSON.stringify({ type: 'error', code, message, param: null, sequence_number: sequenceOf(last) + 1 }),
  }
}

const fieldsOf = ({ message = '', code, error_type: type = code }: ErrorBody) => ({ message, type, code, param: null })

function sequenceOf(last: StreamEvent | undefined): number {
  if (last === undefined || typeof last === 'string') return -1
  return (JSON.parse(last.data) as { sequence_number: number }).sequence_number
}
