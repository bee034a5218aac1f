import { isGrpcServiceError, type Connection } from '@temporalio/client'
import { ConfigError } from '../config.ts'

/** The search attributes that operators filter by, all of them keywords. */
export const KEYWORDS = ['TenantId', 'Surface', 'Phase', 'Model', 'JobId']
/** INDEXED_VALUE_TYPE_KEYWORD of temporal.api.enums.v1.IndexedValueType. */
const KEYWORD = 2
const RETENTION_SECONDS = 30 * 24 * 3600
const CALL_DEADLINE_MS = 10_000

/** Codes of google.rpc.Code. */
const NOT_FOUND = 5
const PERMISSION_DENIED = 7
const UNAUTHENTICATED = 16

/** Which of our search attributes the namespace lacks. */
export async function missingSearchAttributes(connection: Connection, namespace: string): Promise<string[]> {
  const { customAttributes } = await within(connection, () =>
    connection.operatorService.listSearchAttributes({ namespace }),
  )
  return KEYWORDS.filter(name => customAttributes[name] === undefined)
}

/**
 * Registers our search attributes and keeps closed workflows for 30 days. Where the server does not allow either
 * (Temporal Cloud has its own tools for it), it warns and goes on.
 * Errors: ConfigError where the server or the namespace cannot be used.
 */
export async function prepareNamespace(
  connection: Connection,
  namespace: string,
  warn: (sentence: string) => void,
): Promise<void> {
  const { config } = await describeNamespace(connection, namespace)
  const retentionSeconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0)
  await orWarn(warn, `Search attributes could not be registered: register ${KEYWORDS.join(', ')} as keywords.`, () =>
    registerSearchAttributes(connection, namespace),
  )
  if (retentionSeconds >= RETENTION_SECONDS) return
  await orWarn(warn, 'The retention of closed workflows could not be set: set 30 days.', () =>
    within(connection, () =>
      connection.workflowService.updateNamespace({
        namespace,
        config: { workflowExecutionRetentionTtl: { seconds: RETENTION_SECONDS as never } },
      }),
    ),
  )
}

async function describeNamespace(connection: Connection, namespace: string) {
  try {
    return await within(connection, () => connection.workflowService.describeNamespace({ namespace }))
  } catch (error) {
    throw new ConfigError(sentenceOf(error, namespace), { cause: error })
  }
}

function sentenceOf(error: unknown, namespace: string): string {
  const code = isGrpcServiceError(error) ? error.code : undefined
  if (code === NOT_FOUND) return `Temporal has no namespace "${namespace}": make it, or set TEMPORAL_NAMESPACE.`
  if (code === PERMISSION_DENIED || code === UNAUTHENTICATED)
    return `Temporal refuses access to the namespace "${namespace}": check TEMPORAL_API_KEY or the TLS files.`
  return 'Temporal cannot be reached: is it running, and TEMPORAL_ADDRESS right?'
}

async function registerSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const missing = await missingSearchAttributes(connection, namespace)
  if (missing.length === 0) return
  const searchAttributes = Object.fromEntries(missing.map(name => [name, KEYWORD]))
  await within(connection, () => connection.operatorService.addSearchAttributes({ namespace, searchAttributes }))
}

const within = <T>(connection: Connection, call: () => Promise<T>): Promise<T> =>
  connection.withDeadline(Date.now() + CALL_DEADLINE_MS, call)

async function orWarn(warn: (sentence: string) => void, sentence: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const code = isGrpcServiceError(error) ? ` (${error.details})` : ''
    warn(`${sentence}${code}`)
  }
}
