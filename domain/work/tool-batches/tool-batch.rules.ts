import type { AgentToolBatchPlanRequest } from './tool-batch.schema.ts'
import { accessOf, isMcpTool, type ToolAccess } from './tool-access.rules.ts'

type ToolCall = AgentToolBatchPlanRequest['tool_calls'][number]

/** Calls that may run at once, or one that runs alone; groups run one after another. */
export type ToolGroup = {
  index: number
  mode: 'parallel' | 'serial'
  tool_call_ids: string[]
}

/** What is to be done with a call, and why. */
export type ToolDecision = {
  tool_call_id: string
  name: string
  decision: 'run' | 'refuse'
  access: ToolAccess
  /** Where it runs. */
  group?: number
  reason: string
}

export interface ToolPlan {
  groups: ToolGroup[]
  decisions: ToolDecision[]
}

/** What a workspace's policy allows: words, apart by commas or spaces. Those that are not known allow nothing. */
interface WorkspacePolicy {
  allowsMcp: boolean
  isReadOnly: boolean
}

export function workspacePolicyOf(text: string | null | undefined): WorkspacePolicy {
  const words = (text ?? '').toLowerCase().split(/[\s,]+/)
  return { allowsMcp: words.includes('allow_mcp'), isReadOnly: words.includes('read_only') }
}

/**
 * Plans the calls of one turn: neighbours that only read run at once, any other call alone, none before another that
 * it came after. Refused calls do not run, so they stand between nobody. The same calls give the same plan.
 */
export function planToolBatch(calls: readonly ToolCall[], policy: WorkspacePolicy): ToolPlan {
  const groups: ToolGroup[] = []
  const seen = new Set<string>()
  const decisions = calls.map(call => {
    const decision = decide(call, policy, seen)
    seen.add(call.id)
    return decision.decision === 'run' ? { ...decision, group: groupOf(groups, decision) } : decision
  })
  return { groups, decisions }
}

/** The group that the call joins or opens. */
function groupOf(groups: ToolGroup[], { tool_call_id: id, access }: ToolDecision): number {
  const last = groups.at(-1)
  if (access === 'read' && last?.mode === 'parallel') {
    last.tool_call_ids.push(id)
    return last.index
  }
  groups.push({ index: groups.length, mode: access === 'read' ? 'parallel' : 'serial', tool_call_ids: [id] })
  return groups.length - 1
}

const REASONS: Record<ToolAccess, string> = {
  read: 'Only reads: runs at once with its neighbours that do.',
  write: 'Writes: runs alone, after what came before it.',
  unknown: 'Not known to only read: runs alone, after what came before it.',
}

function decide(call: ToolCall, policy: WorkspacePolicy, seen: ReadonlySet<string>): ToolDecision {
  const { name } = call.function
  const access = accessOf(name)
  const refusal = refusalOf(call, access, policy, seen)
  const decision = { tool_call_id: call.id, name, access }
  return refusal === undefined
    ? { ...decision, decision: 'run', reason: REASONS[access] }
    : { ...decision, decision: 'refuse', reason: refusal }
}

function refusalOf(
  call: ToolCall,
  access: ToolAccess,
  policy: WorkspacePolicy,
  seen: ReadonlySet<string>,
): string | undefined {
  if (seen.has(call.id)) return 'Another call before it has the same id.'
  if (!isJsonObject(call.function.arguments)) return 'Its arguments are not a JSON object.'
  if (isMcpTool(call.function.name) && !policy.allowsMcp) {
    return 'The workspace policy does not allow MCP tools: `allow_mcp` would.'
  }
  if (policy.isReadOnly && access !== 'read') return 'The workspace policy allows only tools that read.'
  return undefined
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    // What is not JSON is no object either.
    return false
  }
}
