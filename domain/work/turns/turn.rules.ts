import type { JobKind } from '../../durable/jobs/jobs.rules.ts'
import type { NewEvent } from '../../durable/event-log/event-log.rules.ts'
import type { JobDetails } from '../../durable/jobs/details.rules.ts'
import type { TurnLifecycle } from './turn.schema.ts'

export const TURN_JOBS: JobKind = {
  kind: 'turn',
  idPrefix: 'turn',
  workflow: 'agentTurn',
  queue: 'interactive',
  isBackground: false,
  slots: { open: 5_000, running: 100 },
}

/** The operation that a turn is run for. */
export type TurnSurface = 'turn' | 'responses'

export type TurnEnding = 'completed' | 'failed' | 'canceled'

/** What a turn's workflow is given. */
export interface TurnInput {
  turnId: string
  model: string
}

/** How a turn's step ended; its figures are for operators. */
export interface TurnEnded {
  ending: TurnEnding
  attempt: number
  tokensIn: number
  tokensOut: number
}

const ENDINGS: readonly string[] = ['completed', 'failed', 'canceled'] satisfies TurnEnding[]

export const isEnded = (lifecycle: TurnLifecycle): lifecycle is TurnEnding => ENDINGS.includes(lifecycle)

/** Whether an event is a turn's last. */
export const isTerminal = (type: string): boolean => ENDINGS.some(ending => type === `turn.${ending}`)

export const lifecycleEvent = (lifecycle: TurnLifecycle, more: object = {}): NewEvent => ({
  type: 'turn.lifecycle',
  data: { lifecycle, ...more },
})

export const restartedEvent = (attempt: number, voidAfterSeq: number): NewEvent => ({
  type: 'turn.restarted',
  data: { attempt, void_after_seq: voidAfterSeq },
})

export const deltaEvent = (chunk: object): NewEvent => ({ type: 'turn.delta', data: chunk })

interface Delta {
  choices: { index: number; delta: Record<string, unknown>; finish_reason: unknown }[]
}

/** Two deltas as one where both only add text to the same choice; else undefined. */
export function mergeDeltas(before: NewEvent, after: NewEvent): NewEvent | undefined {
  if (before.type !== 'turn.delta' || after.type !== 'turn.delta') return undefined
  const [first, ...others] = (before.data as Delta).choices
  const [second, ...more] = (after.data as Delta).choices
  if (first === undefined || second === undefined || others.length + more.length > 0) return undefined
  if (first.index !== second.index || first.finish_reason !== null) return undefined
  const [text, added] = [first.delta['content'], onlyText(second.delta)]
  if (typeof text !== 'string' || added === undefined) return undefined
  const choice = { ...second, delta: { ...first.delta, ...second.delta, content: text + added } }
  return deltaEvent({ ...before.data, choices: [choice] })
}

function onlyText(delta: Record<string, unknown>): string | undefined {
  const { content, role: _role, ...rest } = delta
  return typeof content === 'string' && Object.keys(rest).length === 0 ? content : undefined
}

/** What operators read of a turn; its figures are known as it ends. */
export function turnDetails({ turnId: id, model }: TurnInput, phase: string, ended?: TurnEnded): JobDetails {
  if (ended === undefined) return { id, phase, model, figures: {} }
  const { attempt, tokensIn, tokensOut } = ended
  return { id, phase, model, figures: { attempt, 'tokens in': tokensIn, 'tokens out': tokensOut } }
}
