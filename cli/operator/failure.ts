/** Tells the person at the terminal, in one sentence. The stack only where debugging. */
export function reportFailure(error: unknown, env: NodeJS.ProcessEnv): void {
  const debugging = env['LOG_LEVEL'] === 'debug' || env['LOG_LEVEL'] === 'trace'
  process.stderr.write(`${debugging && error instanceof Error ? (error.stack ?? error.message) : sentenceOf(error)}\n`)
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EHOSTUNREACH', 'ETIMEDOUT', 'EAI_AGAIN'])
/** PostgreSQL's undefined_table. */
const NO_TABLE = '42P01'

/** What a person can act on. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'DatabaseUnavailable')
    return `Postgres cannot be used (${reasonOf(error.cause)}): check DATABASE_URL.`
  if (error.name === 'TransportError') return 'Temporal cannot be reached: is it running, and TEMPORAL_ADDRESS right?'
  const code = codeOf(error)
  if (code === 'EADDRINUSE') return `${addressOf(error)} is in use: stop what listens there, or choose another port.`
  if (code === NO_TABLE) return `The database is not migrated (${error.message}): run \`npx ipop migrate\`.`
  if (code !== undefined && UNREACHABLE.has(code))
    return `A server cannot be reached (${reasonOf(error)}): is it running, and its address right?`
  return reasonOf(error)
}

/** Some errors have no text of their own: an AggregateError of a host's addresses, fetch's, which is in the cause. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError) return reasonOf(error.errors[0])
  if (error.message === 'fetch failed') return reasonOf(error.cause)
  return firstLine(error.message)
}

const firstLine = (text: string): string => text.trim().split('\n', 1)[0] ?? ''

const codeOf = (error: Error): string | undefined =>
  'code' in error && typeof error.code === 'string' ? error.code : undefined

const addressOf = (error: Error): string => ('port' in error ? `Port ${String(error.port)}` : 'The port')
