import { Type } from 'typebox'
import { badRequest } from '../../../domain/core/errors.ts'
import { AgentTurnCreateRequest, AgentTurnResponse, TurnEventsQuery } from '../../../domain/work/turns/turn.schema.ts'
import { cancelTurn, createTurn, getTurn } from '../../../domain/work/turns/turn.service.ts'
import { readTurnEvents } from '../../../domain/work/turns/turn-events.ts'
import { events, EventStream } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'
import { failureAsEvent } from '../../http/gives/stream-failure.ts'

const BODY_LIMIT_BYTES = 32 * 1024 * 1024
const EVENT_STREAM = 'text/event-stream'
const TurnParams = Type.Object({ request_id: Type.String() })

export const turnRoutes = [
  route({
    method: 'POST',
    path: '/agent-turns',
    auth: 'apiKey',
    summary: 'Start a durable agent turn',
    description:
      'Answers once the turn is stored, without waiting for the model: read its events at `events_url`, from any ' +
      'event on. With `Accept: text/event-stream` the reply is the stream itself.',
    takes: json(AgentTurnCreateRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: [json(AgentTurnResponse), events()],
    errors: { 403: 'The key may not use the model', 404: 'There is no such model' },
    idempotent: true,
    streams: ({ header }) => wantsEvents(header('accept')),
    handle: async ({ caller, body, header, repeatable, signal }, deps) => {
      const turn = await createTurn(deps, caller, body, repeatable)
      if (!wantsEvents(header('accept'))) return turn
      return new EventStream(await readTurnEvents(deps, caller, turn.request_id, 0, signal), failureAsEvent, {
        headers: { location: turn.detail_url ?? '' },
        resumable: true,
      })
    },
  }),
  route({
    method: 'GET',
    path: '/agent-turns/{request_id}',
    auth: 'apiKey',
    summary: 'Get an agent turn',
    params: TurnParams,
    gives: json(AgentTurnResponse),
    errors: { 404: 'There is no such turn' },
    handle: ({ caller, params }, deps) => getTurn(deps, caller, params.request_id),
  }),
  route({
    method: 'POST',
    path: '/agent-turns/{request_id}/cancel',
    auth: 'apiKey',
    summary: 'Stop an agent turn',
    description: 'The model is stopped at once; what it wrote is billed. Harmless where the turn has ended.',
    params: TurnParams,
    gives: json(AgentTurnResponse),
    errors: { 404: 'There is no such turn' },
    handle: ({ caller, params }, deps) => cancelTurn(deps, caller, params.request_id),
  }),
  route({
    method: 'GET',
    path: '/agent-turns/{request_id}/events',
    auth: 'apiKey',
    summary: "Read a turn's events, from any event on",
    description:
      'Stored events after `Last-Event-ID` (or `after_event_seq`), then live ones, until the last: `turn.completed`, ' +
      '`turn.failed` or `turn.canceled`. After `turn.restarted` the deltas after its `void_after_seq` are void. A stream ' +
      'that ends without one of the three is to be resumed.',
    params: TurnParams,
    query: TurnEventsQuery,
    headers: Type.Object({ 'Last-Event-ID': Type.Optional(Type.String()) }),
    gives: events(),
    errors: { 404: 'There is no such turn' },
    streams: () => true,
    handle: async ({ caller, params, query, headers, signal }, deps) => {
      const after = query.after_event_seq ?? lastEventId(headers['Last-Event-ID'])
      const stored = await readTurnEvents(deps, caller, params.request_id, after, signal)
      return new EventStream(stored, failureAsEvent, { resumable: true })
    },
  }),
]

const wantsEvents = (accept: string | undefined): boolean => accept?.includes(EVENT_STREAM) === true

function lastEventId(header: string | undefined): number {
  if (header === undefined) return 0
  if (/^\d{1,15}$/.test(header)) return Number(header)
  throw badRequest('`Last-Event-ID` must be the id of an event.', 'Last-Event-ID')
}
