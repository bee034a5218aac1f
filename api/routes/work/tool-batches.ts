import { planToolBatch, workspacePolicyOf } from '../../../domain/work/tool-batches/tool-batch.rules.ts'
import {
  AgentToolBatchPlanRequest,
  AgentToolBatchPlanResponse,
} from '../../../domain/work/tool-batches/tool-batch.schema.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const BODY_LIMIT_BYTES = 8 * 1024 * 1024

export const toolBatchRoutes = [
  route({
    method: 'POST',
    path: '/agent-tool-batches/plan',
    auth: 'apiKey',
    summary: 'Plan which tool calls of a turn run at once',
    description:
      'Neighbouring calls that only read run in parallel, any other alone; no call runs before one that it came after. ' +
      '`workspace_policy` takes `allow_mcp` and `read_only`. Each call has a decision with its reason.',
    takes: json(AgentToolBatchPlanRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: json(AgentToolBatchPlanResponse),
    handle: ({ body }) => ({
      object: 'agent_tool_batch_plan' as const,
      schema_version: 1,
      ...planToolBatch(body.tool_calls, workspacePolicyOf(body.workspace_policy)),
    }),
  }),
]
