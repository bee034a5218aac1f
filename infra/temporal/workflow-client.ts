import {
  Client,
  isGrpcServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Connection,
} from '@temporalio/client'
import {
  defaultPayloadConverter,
  defineSearchAttributeKey,
  toPayloads,
  TypedSearchAttributes,
} from '@temporalio/common'

const CALL_DEADLINE_MS = 5_000

const SearchAttributeKeys = {
  tenantId: defineSearchAttributeKey('TenantId', 'KEYWORD'),
  surface: defineSearchAttributeKey('Surface', 'KEYWORD'),
  phase: defineSearchAttributeKey('Phase', 'KEYWORD'),
  jobId: defineSearchAttributeKey('JobId', 'KEYWORD'),
}

export interface WorkflowStart {
  workflowId: string
  workflow: string
  taskQueue: string
  input: object
  /** One line for operators. */
  summary: string
  tenantId: string
  surface: string
  jobId: string
}

export type WorkflowState = 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed_out' | 'not_found'

/** What the relay and the reconciler need of Temporal. Every call ends within seconds, or rejects. */
export interface WorkflowClient {
  /** Starting an id that runs or ran already is not an error: it is the same run. */
  start(start: WorkflowStart): Promise<void>
  /** Cancelling what has ended or is unknown is not an error. */
  cancel(workflowId: string): Promise<void>
  /** The same request again is the same signal: it is told once. One for what has ended or is unknown is no error. */
  signal(workflowId: string, signal: string, payload: unknown, requestId: string): Promise<void>
  describe(workflowId: string): Promise<WorkflowState>
}

const STATES: Record<string, WorkflowState> = {
  RUNNING: 'running',
  PAUSED: 'running',
  CONTINUED_AS_NEW: 'running',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timed_out',
}

export function createWorkflowClient(connection: Connection, namespace: string): WorkflowClient {
  const client = new Client({ connection, namespace })
  const within = <T>(call: () => Promise<T>) => connection.withDeadline(Date.now() + CALL_DEADLINE_MS, call)

  return {
    start: start => within(() => startOnce(client, start)),
    cancel: workflowId => within(() => unlessNotFound(() => client.workflow.getHandle(workflowId).cancel())),
    signal: (workflowId, signalName, payload, requestId) =>
      within(() =>
        unlessNotFound(() =>
          // The handle's own would make up a request id for each call.
          client.workflowService.signalWorkflowExecution({
            namespace,
            workflowExecution: { workflowId },
            signalName,
            input: { payloads: toPayloads(defaultPayloadConverter, payload) ?? [] },
            requestId,
            identity: 'ipop-relay',
          }),
        ),
      ),
    describe: workflowId =>
      within(async () => {
        try {
          const { status } = await client.workflow.getHandle(workflowId).describe()
          return STATES[status.name] ?? 'running'
        } catch (error) {
          if (error instanceof WorkflowNotFoundError) return 'not_found'
          throw error
        }
      }),
  }
}

async function startOnce(client: Client, start: WorkflowStart): Promise<void> {
  try {
    await client.workflow.start(start.workflow, {
      workflowId: start.workflowId,
      taskQueue: start.taskQueue,
      args: [start.input],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: start.summary,
      priority: { fairnessKey: start.tenantId },
      typedSearchAttributes: new TypedSearchAttributes([
        { key: SearchAttributeKeys.tenantId, value: start.tenantId },
        { key: SearchAttributeKeys.surface, value: start.surface },
        { key: SearchAttributeKeys.phase, value: 'queued' },
        { key: SearchAttributeKeys.jobId, value: start.jobId },
      ]),
    })
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
  }
}

async function unlessNotFound(call: () => Promise<unknown>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return
    if (isGrpcServiceError(error) && error.code === GRPC_NOT_FOUND) return
    throw error
  }
}

const GRPC_NOT_FOUND = 5
