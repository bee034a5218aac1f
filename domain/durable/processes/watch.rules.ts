/**
 * What a watcher has seen of processes. One is silent when looks over all of the time found the same beat of it: no
 * clock but the watcher's own is read, and a time in which nobody looked counts for nothing, so a database that was
 * away, or a watcher that was, makes nobody lost who could not beat either.
 */
export interface Watch {
  lostAfterMs: number
  checkedAtMs: number
  seen: Map<string, { beat: string; sinceMs: number }>
}

export const beginWatch = (lostAfterMs: number): Watch => ({ lostAfterMs, checkedAtMs: -Infinity, seen: new Map() })

/** Takes in a look; gives those that have been silent for too long. Looks are to come more often than thrice in that time. */
export function watch<Row extends { id: string; beat_at: string }>(
  state: Watch,
  rows: readonly Row[],
  nowMs: number,
): Row[] {
  const isGap = nowMs - state.checkedAtMs > state.lostAfterMs / 3
  const before = isGap ? new Map<never, never>() : state.seen
  state.checkedAtMs = nowMs
  state.seen = new Map(rows.map(row => [row.id, seenNow(before.get(row.id as never), row.beat_at, nowMs)]))
  return rows.filter(({ id }) => nowMs - (state.seen.get(id)?.sinceMs ?? nowMs) >= state.lostAfterMs)
}

const seenNow = (before: { beat: string; sinceMs: number } | undefined, beat: string, nowMs: number) =>
  before?.beat === beat ? before : { beat, sinceMs: nowMs }
