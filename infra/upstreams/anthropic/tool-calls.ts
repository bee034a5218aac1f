import type { ToolResultBlockParam, ToolUseBlockParam } from '@anthropic-ai/sdk/resources/messages/messages'
import { isFields, type Fields } from '../json.ts'
import { inexpressible } from './failures.ts'
import { blocksOf } from './parts.ts'

/**
 * An assistant's `tool_calls` as blocks. Errors: UpstreamFailure where one is not of a function, or its arguments are
 * not a JSON object.
 */
export function toolUses(calls: unknown, path: string): ToolUseBlockParam[] {
  if (!Array.isArray(calls)) return []
  return calls.map((call: unknown, index) => toolUse(isFields(call) ? call : {}, `${path}.${index}`))
}

function toolUse({ id, function: called }: Fields, path: string): ToolUseBlockParam {
  if (!isFields(called) || typeof called['name'] !== 'string') {
    throw inexpressible(`\`${path}.function\` is required: Anthropic takes calls of functions alone.`)
  }
  return {
    type: 'tool_use',
    id: toolId(id, `${path}.id`),
    name: called['name'],
    input: inputOf(called['arguments'], `${path}.function.arguments`),
  }
}

/** A tool message as a block. Errors: UpstreamFailure naming a part that Anthropic does not take. */
export function toolResult({ tool_call_id: id, content }: Fields, path: string): ToolResultBlockParam {
  const blocks = typeof content === 'string' ? content : blocksOf(content, `${path}.content`)
  return {
    type: 'tool_result',
    tool_use_id: toolId(id, `${path}.tool_call_id`),
    ...(blocks.length === 0 ? {} : { content: blocks }),
  }
}

/** Anthropic takes letters, digits, _ and - in ids; other providers' calls may have others. */
function toolId(id: unknown, path: string): string {
  if (typeof id !== 'string' || id === '') throw inexpressible(`\`${path}\` is required.`)
  return id.replaceAll(/[^A-Za-z0-9_-]/gu, letter => `_${letter.codePointAt(0)?.toString(16)}`)
}

/** No arguments at all are an empty object. */
function inputOf(text: unknown, path: string): Fields {
  if (text === undefined || text === null || text === '') return {}
  try {
    const input: unknown = typeof text === 'string' ? JSON.parse(text) : undefined
    if (isFields(input)) return input
  } catch {
    // Falls through: broken JSON is no object either.
  }
  throw inexpressible(`\`${path}\` must be a JSON object.`)
}
