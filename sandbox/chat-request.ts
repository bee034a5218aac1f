import { Type, type Static, type TSchema } from 'typebox'
import { checkerOf } from './checked.ts'
import { invalidRequest } from './openai-error.ts'

/** OpenAI takes null for an absent field. */
const Maybe = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))
const Limit = Maybe(Type.Integer({ minimum: 1 }))

const Part = Type.Object({ type: Type.String(), text: Type.Optional(Type.String()) })
const Message = Type.Object({
  role: Type.Enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: Maybe(Type.Union([Type.String(), Type.Array(Part)])),
  tool_call_id: Type.Optional(Type.String()),
})
const FunctionTool = Type.Object({
  type: Type.Literal('function'),
  function: Type.Object({ name: Type.String({ minLength: 1 }), parameters: Type.Optional(Type.Unknown()) }),
})
const NamedTool = Type.Object({ type: Type.Literal('function'), function: Type.Object({ name: Type.String() }) })
const ResponseFormat = Type.Object({
  type: Type.Enum(['text', 'json_object', 'json_schema']),
  json_schema: Type.Optional(
    Type.Object({ name: Type.String({ minLength: 1 }), schema: Type.Optional(Type.Object({})) }),
  ),
})

const ChatRequest = Type.Object({
  model: Type.String({ minLength: 1 }),
  messages: Type.Array(Message, { minItems: 1 }),
  stream: Maybe(Type.Boolean()),
  stream_options: Maybe(Type.Object({ include_usage: Maybe(Type.Boolean()) })),
  max_tokens: Limit,
  max_completion_tokens: Limit,
  n: Maybe(Type.Integer({ minimum: 1, maximum: 8 })),
  stop: Maybe(Type.Union([Type.String(), Type.Array(Type.String(), { maxItems: 4 })])),
  response_format: Maybe(ResponseFormat),
  tools: Maybe(Type.Array(Type.Object({ type: Type.String() }))),
  tool_choice: Maybe(Type.Union([Type.Enum(['none', 'auto', 'required']), Type.Object({ type: Type.String() })])),
  parallel_tool_calls: Maybe(Type.Boolean()),
  modalities: Maybe(Type.Array(Type.String())),
  image_config: Maybe(Type.Object({ aspect_ratio: Maybe(Type.String()), image_size: Maybe(Type.String()) })),
})
type ChatRequest = Static<typeof ChatRequest>
export type Message = Static<typeof Message>
export type FunctionTool = Static<typeof FunctionTool>

/** A chat request with its defaults filled in. */
export interface ChatCall {
  model: string
  messages: Message[]
  tools: object[]
  stream: boolean
  includeUsage: boolean
  choices: number
  maxOutputTokens: number
  stop: string[]
  /** The schema that the reply must fit; `{}` for any JSON; undefined for text. */
  jsonSchema: unknown
  /** Functions to be called in the reply; none for a text. */
  demanded: FunctionTool[]
  /** How the picture is to be; undefined where none is asked for. */
  picture: { aspect_ratio?: string | null; image_size?: string | null } | undefined
}

const checkedRequest = checkerOf(ChatRequest)
const checkedTool = checkerOf(FunctionTool)
const checkedNamed = checkerOf(NamedTool)

/** Reads the body of POST /v1/chat/completions; unknown fields are ignored. Errors: 400 naming the field. */
export function chatCallOf(body: unknown): ChatCall {
  const request = checkedRequest(body)
  return {
    model: request.model,
    messages: request.messages,
    tools: request.tools ?? [],
    stream: request.stream ?? false,
    includeUsage: request.stream_options?.include_usage ?? false,
    choices: request.n ?? 1,
    maxOutputTokens: request.max_completion_tokens ?? request.max_tokens ?? Infinity,
    stop: [request.stop ?? []].flat().filter(text => text !== ''),
    jsonSchema: jsonSchemaOf(request),
    demanded: demandedTools(request),
    picture: request.modalities?.includes('image') === true ? (request.image_config ?? {}) : undefined,
  }
}

function jsonSchemaOf({ response_format: format }: ChatRequest): unknown {
  if (!format || format.type === 'text') return undefined
  if (format.type === 'json_object') return ANY_OBJECT
  if (!format.json_schema) throw invalidRequest('response_format.json_schema', "Missing 'response_format.json_schema'.")
  return format.json_schema.schema ?? ANY_OBJECT
}

const ANY_OBJECT = {
  type: 'object',
  properties: { answer: { type: 'string' }, sandbox: { const: true } },
  required: ['answer', 'sandbox'],
}

/** A real model calls several tools at once where it may; the sandbox does so only where that is asked for. */
function demandedTools(request: ChatRequest): FunctionTool[] {
  const { tool_choice: choice } = request
  if (choice === 'required') return anyTools(functionsOf(request), request.parallel_tool_calls === true)
  if (typeof choice !== 'object' || choice === null) return []
  const { name } = checkedNamed(choice).function
  const tool = functionsOf(request).find(candidate => candidate.function.name === name)
  if (!tool) throw invalidRequest('tool_choice', `Tool choice names '${name}', which is not among 'tools'.`)
  return [tool]
}

function anyTools(tools: FunctionTool[], inParallel: boolean): FunctionTool[] {
  if (tools.length === 0)
    throw invalidRequest('tool_choice', "'tool_choice' is 'required' but 'tools' has no function.")
  return inParallel ? tools : tools.slice(0, 1)
}

function functionsOf(request: ChatRequest): FunctionTool[] {
  return (request.tools ?? []).filter(tool => tool.type === 'function').map(tool => checkedTool(tool))
}
