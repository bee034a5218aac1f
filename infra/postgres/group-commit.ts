import { setTimeout as delay } from 'node:timers/promises'
import { isTransientDatabaseError } from './sqlstate.ts'

interface Waiting<Item, Result> {
  item: Item
  resolve(result: Result): void
  reject(error: unknown): void
}

export interface GroupCommitOptions {
  /** Most items in one transaction. */
  groupLimit?: number
  /** How long a database that is away is waited for, from the first failure. */
  retryForMs?: number
}

const FIRST_RETRY_MS = 50
const LONGEST_RETRY_MS = 2_000

/**
 * Commits items in groups without a timer: an item leaves at once if no commit is under way, else with all others
 * that have come when the current one returns. `commit` must be idempotent by item, since a group whose outcome is
 * unknown is committed again; it gives one result an item. A group that fails for another reason than an absent
 * database is committed item by item, so that a bad one fails alone.
 */
export function createGroupCommit<Item, Result>(
  commit: (items: Item[]) => Promise<Result[]>,
  options: GroupCommitOptions = {},
): (item: Item) => Promise<Result> {
  const { groupLimit = 200, retryForMs = 60_000 } = options
  const waiting: Waiting<Item, Result>[] = []
  let busy = false

  const drain = async () => {
    busy = true
    while (waiting.length > 0) await commitGroup(waiting.splice(0, groupLimit))
    busy = false
  }

  const commitGroup = async (group: Waiting<Item, Result>[]): Promise<void> => {
    try {
      const results = await commitWithRetries(group.map(member => member.item))
      group.forEach((member, index) => member.resolve(results[index] as Result))
    } catch (error) {
      if (group.length === 1 || isTransientDatabaseError(error)) return group.forEach(member => member.reject(error))
      for (const member of group) await commitGroup([member])
    }
  }

  const commitWithRetries = async (items: Item[]): Promise<Result[]> => {
    const giveUpAtMs = Date.now() + retryForMs
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS)) {
      try {
        return await commit(items)
      } catch (error) {
        if (!isTransientDatabaseError(error) || Date.now() > giveUpAtMs) throw error
        await delay(retryMs)
      }
    }
  }

  return item =>
    new Promise<Result>((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (!busy) void drain()
    })
}
