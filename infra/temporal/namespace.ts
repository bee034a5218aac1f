import type { Connection } from '@temporalio/client'

const KEYWORDS = ['TenantId', 'Surface', 'Phase', 'Model', 'JobId']
/** INDEXED_VALUE_TYPE_KEYWORD of temporal.api.enums.v1.IndexedValueType. */
const KEYWORD = 2
const RETENTION_SECONDS = 30 * 24 * 3600
const CALL_DEADLINE_MS = 10_000

interface NamespaceLog {
  warn(fields: object, message: string): void
}

/** Which of our search attributes the namespace lacks. */
export async function missingSearchAttributes(connection: Connection, namespace: string): Promise<string[]> {
  const { customAttributes } = await within(connection, () =>
    connection.operatorService.listSearchAttributes({ namespace }),
  )
  return KEYWORDS.filter(name => customAttributes[name] === undefined)
}

/**
 * Registers our search attributes and keeps closed workflows for 30 days. Where the server does not allow either
 * (Temporal Cloud has its own tools for it), it says so and goes on.
 */
export async function prepareNamespace(connection: Connection, namespace: string, log: NamespaceLog): Promise<void> {
  await orWarn(
    log,
    'search attributes could not be registered: register TenantId, Surface, Phase, Model, JobId as keywords',
    async () => {
      const missing = await missingSearchAttributes(connection, namespace)
      if (missing.length === 0) return
      const searchAttributes = Object.fromEntries(missing.map(name => [name, KEYWORD]))
      await within(connection, () => connection.operatorService.addSearchAttributes({ namespace, searchAttributes }))
    },
  )
  await orWarn(log, 'the retention of closed workflows could not be set: 30 days are advised', async () => {
    const { config } = await within(connection, () => connection.workflowService.describeNamespace({ namespace }))
    const seconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0)
    if (seconds >= RETENTION_SECONDS) return
    await within(connection, () =>
      connection.workflowService.updateNamespace({
        namespace,
        config: { workflowExecutionRetentionTtl: { seconds: RETENTION_SECONDS as never } },
      }),
    )
  })
}

const within = <T>(connection: Connection, call: () => Promise<T>): Promise<T> =>
  connection.withDeadline(Date.now() + CALL_DEADLINE_MS, call)

async function orWarn(log: NamespaceLog, message: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    log.warn({ err: error }, message)
  }
}
