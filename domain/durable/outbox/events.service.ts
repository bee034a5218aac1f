import type { Database, Transaction } from '../../../infra/postgres/database.ts'
import { newRequestId } from '../../core/ids.ts'
import type { Owner } from '../../core/caller.rules.ts'
import type { EventPayload, EventType } from './event-types.schema.ts'
import { insertEvent, selectEventsAfter, type EventRow } from './events.sql.ts'

export interface ProjectEvent<T extends EventType> {
  owner: Owner
  type: T
  /** The id of what it happened to. */
  subject: string
  payload: EventPayload<T>
}

/**
 * Tells what happened, in the transaction in which it did. The event gets its number as the transaction commits, so
 * the events of an owner are numbered in the order of their commits.
 */
export function appendEvent<T extends EventType>(tx: Transaction, event: ProjectEvent<T>): void {
  const { owner, type, subject, payload } = event
  const row = { id: newRequestId(), userId: owner.userId, projectId: owner.projectId ?? '', type, subject, payload }
  tx.atCommit(() => insertEvent(tx, row), 'last')
}

export type { EventRow } from './events.sql.ts'

/** The events of a project, or of an account outside of any, after a number: in the order of their commits, none missed. */
export const readEvents = (
  { db }: { db: Database },
  owner: Owner,
  afterSeq: bigint,
  limit: number,
): Promise<EventRow[]> =>
  selectEventsAfter(db, { userId: owner.userId, projectId: owner.projectId ?? '' }, afterSeq, limit)
