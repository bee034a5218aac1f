/**
 * What a watcher has seen of processes. One is silent when looks over all of the time found the same word of it: no
 * clock but the watcher's own is read, and a time in which nobody looked counts for nothing, so a database that was
 * away, or a watcher that was, makes nobody lost who could not speak either.
 */
export interface Watch {
  lostAfterMs: number
  lookedAtMs: number
  seen: Map<string, { word: string; sinceMs: number }>
}

export const beginWatch = (lostAfterMs: number): Watch => ({ lostAfterMs, lookedAtMs: -Infinity, seen: new Map() })

/** Takes in a look; gives those that have been silent for too long. Looks are to come more often than thrice in that time. */
export function watch<Row extends { id: string; spoke_at: string }>(
  state: Watch,
  rows: readonly Row[],
  nowMs: number,
): Row[] {
  const isGap = nowMs - state.lookedAtMs > state.lostAfterMs / 3
  const before = isGap ? new Map<never, never>() : state.seen
  state.lookedAtMs = nowMs
  state.seen = new Map(rows.map(row => [row.id, seenNow(before.get(row.id as never), row.spoke_at, nowMs)]))
  return rows.filter(({ id }) => nowMs - (state.seen.get(id)?.sinceMs ?? nowMs) >= state.lostAfterMs)
}

const seenNow = (before: { word: string; sinceMs: number } | undefined, word: string, nowMs: number) =>
  before?.word === word ? before : { word, sinceMs: nowMs }
