import type { Tool, ToolChoice } from '@anthropic-ai/sdk/resources/messages/messages'
import { isFields, type Fields } from '../json.ts'
import { inexpressible } from './failures.ts'

/** The request's functions. `strict` is left out: Anthropic bounds how many strict tools a request may have. */
export function toolsOf(tools: unknown): Tool[] | undefined {
  if (!Array.isArray(tools) || tools.length === 0) return undefined
  return tools.map((tool: unknown, index) => toolOf(tool, `tools.${index}`))
}

function toolOf(tool: unknown, path: string): Tool {
  const definition = isFields(tool) ? tool['function'] : undefined
  if (!isFields(definition)) throw inexpressible(`\`${path}.function\` is required: Anthropic takes functions alone.`)
  const { name, description, parameters } = definition
  return {
    name: String(name),
    ...(typeof description === 'string' && description !== '' ? { description } : {}),
    input_schema: { ...(isFields(parameters) ? parameters : {}), type: 'object' },
  }
}

/** Errors: UpstreamFailure where the choice is none that Anthropic has. */
export function toolChoiceOf({
  tools,
  tool_choice: choice,
  parallel_tool_calls: parallel,
}: Fields): ToolChoice | undefined {
  if (!Array.isArray(tools) || tools.length === 0) return undefined
  const single = parallel === false ? { disable_parallel_tool_use: true } : {}
  if (choice === undefined || choice === null) return parallel === false ? { type: 'auto', ...single } : undefined
  if (choice === 'none') return { type: 'none' }
  if (choice === 'auto') return { type: 'auto', ...single }
  if (choice === 'required') return { type: 'any', ...single }
  const chosen = isFields(choice) ? choice['function'] : undefined
  if (isFields(chosen) && typeof chosen['name'] === 'string') return { type: 'tool', name: chosen['name'], ...single }
  throw inexpressible('`tool_choice` must be auto, none, required or a function: Anthropic has no other.')
}

/** Anthropic does not think where a tool is forced. */
export const isForced = (choice: ToolChoice | undefined): boolean => choice?.type === 'any' || choice?.type === 'tool'
