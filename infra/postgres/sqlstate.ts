/** PostgreSQL's error codes that we act on (appendix A of its manual). */
export const SqlState = {
  uniqueViolation: '23505',
  foreignKeyViolation: '23503',
  checkViolation: '23514',
  serializationFailure: '40001',
  deadlockDetected: '40P01',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  crashShutdown: '57P02',
  cannotConnectNow: '57P03',
  tooManyConnections: '53300',
  /** Our own, of the function `refuse_hold`. */
  holdNotCovered: 'IP402',
  /** Our own, of the function `refuse_second_hold`. */
  secondHold: 'IP409',
  /** Our own, of the function `exchange_leases`. */
  processLost: 'IP410',
} as const

/** Five characters with a digit among them: EPIPE is none. */
const SQLSTATE = /^(?=.*\d)[0-9A-Z]{5}$/

/** The SQLSTATE of an error the server reported, else undefined. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' && SQLSTATE.test(error.code) ? error.code : undefined
}

const TRANSIENT: ReadonlySet<string> = new Set([
  SqlState.serializationFailure,
  SqlState.deadlockDetected,
  SqlState.queryCanceled,
  SqlState.adminShutdown,
  SqlState.crashShutdown,
  SqlState.cannotConnectNow,
  SqlState.tooManyConnections,
])
/** Codes of the network, which a driver passes on as they are. */
const CONNECTION_ERRORS = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH'])

/** Whether what a statement threw means that the connection is gone. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string' && CONNECTION_ERRORS.has(error.code)) return true
  return /Connection terminated|connection error|Query read timeout/i.test(error.message)
}

/** Whether the database was away or asked for another try. A commit's outcome may then be unknown. */
export function isTransientDatabaseError(error: unknown): boolean {
  if (error instanceof Error && error.name === 'DatabaseUnavailable') return true
  const state = sqlStateOf(error)
  return state !== undefined && (TRANSIENT.has(state) || state.startsWith('08'))
}
