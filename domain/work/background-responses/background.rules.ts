import type { Usage } from '../../inference/tokens/usage.schema.ts'
import type { NewEvent } from '../../durable/event-log/event-log.rules.ts'
import { isTerminal, type TurnEnding } from '../turns/turn.rules.ts'
import { endingOf, responseUsage, stateEvent, type ResponseState } from '../../inference/responses/response.rules.ts'
import { createOutputStream, type Assembled } from '../../inference/responses/stream.rules.ts'

/** How a turn's end is a response's. */
interface TurnOutcome {
  ending: TurnEnding
  error: { code: string; message: string } | null
  usage: Usage | undefined
}

type IdOf = Parameters<typeof createOutputStream>[0]

/**
 * Tells the events of a turn in those of a response. Numbers need not be stored: the same log gives the same events.
 * After a restart the output begins anew; `response.restarted`, which OpenAI's API does not have, says so.
 */
export interface BackgroundStream {
  /** A turn's last event closes what is open; that of the response itself is the caller's to make. */
  add(event: NewEvent): NewEvent[]
  assembled(): Assembled
}

export function createBackgroundStream(begun: ResponseState, idOf: IdOf): BackgroundStream {
  let stream = createOutputStream(idOf)
  let isRunning = false

  const lifecycle = (phase: unknown): NewEvent[] => {
    if (phase === 'queued') return ['response.created', 'response.queued'].map(type => stateEvent(type, begun))
    if (phase !== 'warming' || isRunning) return []
    isRunning = true
    return [stateEvent('response.in_progress', { ...begun, status: 'in_progress' })]
  }
  const restart = (attempt: unknown): NewEvent[] => {
    stream = createOutputStream(idOf)
    return [{ type: 'response.restarted', data: { response_id: begun.id, attempt } }]
  }

  return {
    add: ({ type, data }) => {
      const fields = data as Record<string, unknown>
      if (type === 'turn.lifecycle') return lifecycle(fields['lifecycle'])
      if (type === 'turn.restarted') return restart(fields['attempt'])
      if (type === 'turn.delta') return stream.add(data as { choices: object[] })
      return isTerminal(type) ? stream.end() : []
    },
    assembled: () => stream.assembled(),
  }
}

type EndedState = ResponseState & { status: Exclude<ResponseState['status'], 'queued' | 'in_progress'> }

/** The response when its turn has ended, from all that the turn's log holds. */
export function settledState(
  begun: ResponseState,
  idOf: IdOf,
  log: readonly NewEvent[],
  outcome: TurnOutcome,
): EndedState {
  const stream = createBackgroundStream(begun, idOf)
  log.forEach(event => stream.add(event))
  const { output, finishReason } = stream.assembled()
  const usage = outcome.usage === undefined ? null : responseUsage(outcome.usage)
  const { ending, error } = outcome
  if (ending === 'completed') return { ...begun, ...endingOf(finishReason), output, usage }
  return { ...begun, status: ending === 'canceled' ? 'cancelled' : 'failed', output, usage, error }
}
