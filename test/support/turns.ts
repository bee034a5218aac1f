import { createParser } from 'eventsource-parser'
import { chatOf } from './chats.ts'
import type { ApiClient } from './client.ts'
import type { FakeScript } from './fake-upstream.ts'
import { testStack } from './stack.ts'

export interface TurnEvent {
  /** Undefined for an event that is not stored. */
  seq: number | undefined
  type: string
  data: any
}

/** Starts a turn whose upstream call does as the script says; gives its request id. */
export async function startTurn(api: ApiClient, script: FakeScript, body: object = {}): Promise<string> {
  const reply = await api.post('/agent-turns', chatOf(script, body))
  if (reply.status !== 200) throw new Error(`the turn was refused: ${reply.text}`)
  return reply.body.request_id as string
}

interface ReadOptions {
  after?: number
  apiUrl?: string
  signal?: AbortSignal
}

/** The events of a turn as they come, until its stream closes. */
export async function* turnEvents(
  secret: string,
  requestId: string,
  options: ReadOptions = {},
): AsyncGenerator<TurnEvent> {
  const { after, apiUrl = testStack().apiUrl, signal } = options
  const reply = await fetch(`${apiUrl}/v1/agent-turns/${requestId}/events`, {
    headers: { 'x-api-key': secret, ...(after === undefined ? {} : { 'last-event-id': String(after) }) },
    ...(signal && { signal }),
  })
  if (reply.status !== 200 || reply.body === null) throw new Error(`${reply.status} ${await reply.text()}`)
  yield* parsedEvents(reply.body)
}

export async function* parsedEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<TurnEvent> {
  const ready: TurnEvent[] = []
  const parser = createParser({
    onEvent: ({ id, event = '', data }) =>
      void ready.push({ seq: id === undefined ? undefined : Number(id), type: event, data: JSON.parse(data) }),
  })
  const decoder = new TextDecoder()
  for await (const bytes of body) {
    parser.feed(decoder.decode(bytes, { stream: true }))
    yield* ready.splice(0)
  }
}

export async function allTurnEvents(
  secret: string,
  requestId: string,
  options: ReadOptions = {},
): Promise<TurnEvent[]> {
  const events: TurnEvent[] = []
  for await (const event of turnEvents(secret, requestId, options)) events.push(event)
  return events
}

/** The text that the deltas of the last attempt make. */
export function textOf(events: readonly TurnEvent[]): string {
  const restart = events.findLast(event => event.type === 'turn.restarted')
  return events
    .filter(event => event.type === 'turn.delta' && (event.seq ?? 0) > (restart?.seq ?? 0))
    .map(event => event.data.choices[0]?.delta.content ?? '')
    .join('')
}

export const typesOf = (events: readonly TurnEvent[]): string[] =>
  events.map(event => (event.type === 'turn.lifecycle' ? event.data.lifecycle : event.type))
