import { isGrpcServiceError, type Connection } from '@temporalio/client'
import type { Config } from '../../infra/config.ts'
import { connectTemporal } from '../../infra/temporal/connection.ts'
import { missingSearchAttributes } from '../../infra/temporal/namespace.ts'
import type { Check } from './findings.ts'

const CALL_DEADLINE_MS = 5_000
/** gRPC's DEADLINE_EXCEEDED and UNAVAILABLE. */
const NO_ANSWER = new Set([4, 14])

const addressOf = ({ address }: Config['temporal']): string =>
  address ?? 'the default address (TEMPORAL_ADDRESS is not set)'

export const temporalChecks = (config: Config): Check[] => [
  {
    name: 'Temporal',
    look: () => withConnection(config, connection => namespaceOf(connection, config)),
    remedy:
      'Set TEMPORAL_ADDRESS (and TEMPORAL_NAMESPACE) to a server that runs, or run `npm start` for an embedded one.',
  },
  {
    name: 'Search attributes',
    look: () =>
      withConnection(config, async connection => {
        const missing = await missingSearchAttributes(connection, config.temporal.namespace)
        if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}`)
        return 'registered'
      }),
    remedy: 'Register them as keywords: `temporal operator search-attribute create --type Keyword --name …`.',
  },
]

async function namespaceOf(connection: Connection, { temporal }: Config): Promise<string> {
  const { namespace } = temporal
  const { config } = await connection.workflowService.describeNamespace({ namespace })
  const days = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / 86_400
  return `namespace ${namespace} at ${addressOf(temporal)}, closed workflows kept ${days} ${days === 1 ? 'day' : 'days'}`
}

async function withConnection(config: Config, work: (connection: Connection) => Promise<string>): Promise<string> {
  const connection = connectTemporal(config)
  try {
    return await connection.withDeadline(Date.now() + CALL_DEADLINE_MS, async () => {
      await connection.workflowService.getSystemInfo({})
      return work(connection)
    })
  } catch (error) {
    if (isGrpcServiceError(error) && NO_ANSWER.has(error.code))
      throw new Error(`no answer from ${addressOf(config.temporal)}`, { cause: error })
    throw error
  } finally {
    await connection.close()
  }
}
