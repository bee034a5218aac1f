import pg from 'pg'
import { isConnectionError } from './sqlstate.ts'

/**
 * A statement that each connection parses and plans once, under its name. For those of the hot paths, whose plan does
 * not depend on their values.
 */
export interface PreparedStatement {
  /** The only one of this name. */
  readonly name: string
  readonly text: string
}

export type Statement = string | PreparedStatement

/** Anything a statement can run on: the pool, or a transaction's connection. int8 comes as bigint, timestamptz as Date. */
export interface Queryable {
  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<{ rows: Row[]; rowCount: number }>
}

/**
 * A transaction's connection. Functions that must run inside one ask for it by this type. Statements that are sent
 * without waiting for the one before go to the server together, and run there in their order.
 */
export interface Transaction extends Queryable {
  readonly inTransaction: true
  /**
   * Sends statements together with COMMIT: a lock that they take is held for no longer than the server needs to
   * commit. What fails among them rolls everything back. All are sent before `send` waits for anything. Those that are
   * `last` are sent behind all others: their locks are the last in everybody's order.
   */
  atCommit(send: () => Promise<unknown>, order?: 'last'): void
}

export interface Database extends Queryable {
  readonly pool: pg.Pool
  close(): Promise<void>
}

/** No connection could be had in time, or it broke: whether a statement that was sent has run is then not known. */
export class DatabaseUnavailable extends Error {
  override name = 'DatabaseUnavailable'
}

export interface DatabaseOptions {
  url: string
  poolSize: number
  applicationName: string
  /** How long a statement may run; 15 s unless told. */
  statementTimeoutMs?: number
  /** How long a caller waits for a free connection; 2 s unless told. */
  acquireTimeoutMs?: number
}

const STATEMENT_TIMEOUT_MS = 15_000
const NETWORK_GRACE_MS = 5_000

const typeParsers: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 && format !== 'binary'
      ? (text: string) => BigInt(text)
      : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
}

/** Opens the pool; connections are made on demand. Queries fail with DatabaseUnavailable where none is free in time. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.acquireTimeoutMs ?? 2_000,
    statement_timeout: options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
    // For a server or a network that hangs. It counts from when a statement is sent, also behind others.
    query_timeout: (options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS) + NETWORK_GRACE_MS,
    idle_in_transaction_session_timeout: 30_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    pipeline: true,
    types: typeParsers,
  })
  // An idle connection that breaks is replaced by the pool; without a listener Node would end the process.
  pool.on('error', () => undefined)
  return {
    pool,
    query: (statement, values) => withClient(pool, client => run(client, statement, values)),
    close: () => pool.end(),
  }
}

/**
 * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects.
 * Nothing outside the database may be done in it that a rollback must undo.
 */
export async function inTransaction<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return withClient(db.pool, async client => {
    const atCommit: (() => Promise<unknown>)[] = []
    const atLast: (() => Promise<unknown>)[] = []
    let isOver = false
    await run(client, 'BEGIN')
    try {
      const result = await work({
        inTransaction: true,
        query: async (statement, values) => {
          // It would run on its own, or in whatever the connection is used for next.
          if (isOver) throw new Error('a statement came after its transaction')
          return run(client, statement, values)
        },
        atCommit: (send, order) => {
          if (isOver) throw new Error('atCommit came after its transaction')
          ;(order === 'last' ? atLast : atCommit).push(send)
        },
      })
      const last = [...atCommit, ...atLast].map(send => send())
      isOver = true
      await commit(client, last)
      return result
    } catch (error) {
      isOver = true
      await client.query('ROLLBACK').catch((rollbackError: unknown) => markBroken(client, rollbackError))
      throw error
    }
  })
}

/** Errors: the last statements', in their order, for which COMMIT rolled back. */
async function commit(client: pg.PoolClient, last: readonly Promise<unknown>[]): Promise<void> {
  const committed = run(client, 'COMMIT')
  await Promise.allSettled([...last, committed])
  for (const sent of last) await sent
  if ((await committed).command !== 'COMMIT') throw new Error('the transaction was rolled back')
}

const brokenClients = new WeakSet<pg.PoolClient>()
const markBroken = (client: pg.PoolClient, _why: unknown) => void brokenClients.add(client)

async function withClient<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw new DatabaseUnavailable('no database connection was free in time', { cause: error })
  })
  const onError = (error: unknown) => markBroken(client, error)
  client.on('error', onError)
  try {
    return await work(client)
  } finally {
    client.off('error', onError)
    client.release(brokenClients.has(client))
  }
}

async function run<Row>(client: pg.PoolClient, statement: Statement, values?: readonly unknown[]) {
  try {
    const result = await client.query(statement as string, values as unknown[] | undefined)
    return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0, command: result.command }
  } catch (error) {
    if (!isConnectionError(error)) throw error
    markBroken(client, error)
    throw new DatabaseUnavailable('the database connection broke', { cause: error })
  }
}

/** The first row, where there is one. */
export async function queryFirst<Row>(
  db: Queryable,
  statement: Statement,
  values?: readonly unknown[],
): Promise<Row | undefined> {
  const { rows } = await db.query<Row>(statement, values)
  return rows[0]
}

/** The only row of a statement that always gives one. */
export async function queryOne<Row>(db: Queryable, statement: Statement, values?: readonly unknown[]): Promise<Row> {
  const row = await queryFirst<Row>(db, statement, values)
  if (row === undefined) throw new Error('the statement gave no row')
  return row
}
