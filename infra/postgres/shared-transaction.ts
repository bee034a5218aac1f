import { inTransaction, type Database, type Transaction } from './database.ts'
import { createGroupCommit } from './group-commit.ts'

type Work<T> = (tx: Transaction) => Promise<T>

/**
 * Runs work in a transaction that it may share with other work of its key. Resolves once it is committed. Work that
 * fails fails alone: the others are run again, each in a transaction of its own.
 */
export type SharedTransaction = <T>(key: string, work: Work<T>) => Promise<T>

/** Most pieces of work in one transaction. */
const GROUP_LIMIT = 50
/** What was sent may have been committed when the connection broke: it is not sent again. */
const NO_RETRY_MS = -1

/**
 * For transactions that wait for the same lock, such as an account's, which one after the other would each hold while
 * their commit is written to disk: those of one key that come while one commits are committed together.
 */
export function createSharedTransaction(db: Database): SharedTransaction {
  const groups = new Map<string, { commit: (work: Work<unknown>) => Promise<unknown>; underWay: number }>()
  const newGroup = () => {
    const run = (works: Work<unknown>[]) => inTransaction(db, tx => allOf(works.map(work => work(tx))))
    const options = { groupLimit: GROUP_LIMIT, retryForMs: NO_RETRY_MS }
    return { commit: createGroupCommit(run, options), underWay: 0 }
  }
  return async <T>(key: string, work: Work<T>) => {
    const group = groups.get(key) ?? newGroup()
    groups.set(key, group)
    group.underWay += 1
    try {
      return (await group.commit(work)) as T
    } finally {
      group.underWay -= 1
      if (group.underWay === 0) groups.delete(key)
    }
  }
}

/** Rejects when all have ended: none may send a statement after the transaction is over. */
async function allOf<T>(promises: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}
