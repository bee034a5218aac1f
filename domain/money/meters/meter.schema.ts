import { Type, type Static } from 'typebox'
import { faces, QueryText, QueryTime, Timestamp } from '../../core/schemas.schema.ts'

const quantities = {
  quantity: Type.Number(),
  free_quantity: Type.Number(),
  billable_quantity: Type.Number(),
  cost_usd: Type.Number(),
}

export const MeterEvent = Type.Object(
  { id: Type.String(), service: Type.String(), meter: Type.String(), ...quantities, created_at: Timestamp },
  { $id: 'MeterEvent', additionalProperties: false },
)
export type MeterEvent = Static<typeof MeterEvent>

const MeterEventMeterSummary = Type.Object(
  { service: Type.String(), meter: Type.String(), event_count: Type.Integer(), ...quantities },
  { $id: 'MeterEventMeterSummary', additionalProperties: false },
)
export type MeterEventMeterSummary = Static<typeof MeterEventMeterSummary>

export const MeterEventSummary = Type.Object(
  {
    object: Type.Literal('meter_events.summary'),
    total_events: Type.Integer(),
    total_quantity: Type.Number(),
    total_free_quantity: Type.Number(),
    total_billable_quantity: Type.Number(),
    total_cost_usd: Type.Number(),
    meters: Type.Array(MeterEventMeterSummary),
    records: Type.Array(MeterEvent),
  },
  { $id: 'MeterEventSummary', additionalProperties: false },
)
export type MeterEventSummary = Static<typeof MeterEventSummary>

export const MeterEventsQuery = Type.Object({
  service: Type.Optional(QueryText('Filter by unified API-credit service name.')),
  meter: Type.Optional(QueryText('Filter by meter name within a service.')),
  search: Type.Optional(QueryText()),
  created_at_from: Type.Optional(QueryTime()),
  created_at_to: Type.Optional(QueryTime()),
  cursor: Type.Optional(QueryText()),
  limit: Type.Optional(
    faces(Type.Integer({ minimum: 1, maximum: 500, default: 500 }), Type.Integer({ minimum: 1, maximum: 500 })),
  ),
})
export type MeterEventsQuery = Static<typeof MeterEventsQuery>
