import { Type, type Static } from 'typebox'
import { RequestedModelId } from '../catalog/catalog.schema.ts'
import { anyObject, faces, OpenEnum, orNull } from '../../core/schemas.schema.ts'

const anyValue = () => Type.Optional(Type.Unknown())
const INCLUDES = [
  'file_search_call.results',
  'message.input_image.image_url',
  'computer_call_output.output.image_url',
  'reasoning.encrypted_content',
]

const ResponseIncludeValue = Type.Enum(INCLUDES, { $id: 'ResponseIncludeValue' })
const Include = () => Type.Optional(orNull(Type.Array(ResponseIncludeValue)))

const ResponseContentPart = Type.Object(
  {
    // Parts that are told may also be refusals, which the contract leaves out.
    type: OpenEnum(['input_text', 'output_text', 'text', 'input_image', 'image_url', 'input_file', 'file']),
    text: Type.Optional(Type.String()),
    image_url: Type.Optional(Type.String()),
    detail: Type.Optional(Type.Enum(['auto', 'low', 'high'])),
    file_data: Type.Optional(Type.String()),
    file_id: Type.Optional(Type.String()),
    file_url: Type.Optional(Type.String()),
    filename: Type.Optional(Type.String()),
  },
  { $id: 'ResponseContentPart', additionalProperties: true },
)

/** What is in an item beyond its type is checked where it is translated: clients send back more kinds than are documented. */
const ResponseInputItem = faces(
  Type.Object(
    {
      id: Type.Optional(Type.String()),
      type: Type.Optional(Type.Enum(['message', 'input_message', 'function_call_output'])),
      role: Type.Optional(Type.Enum(['system', 'developer', 'user', 'assistant', 'tool'])),
      content: Type.Optional(Type.Union([Type.String(), Type.Array(ResponseContentPart)])),
    },
    { $id: 'ResponseInputItem', additionalProperties: true },
  ),
  Type.Object({}, { $id: 'ResponseInputItem', additionalProperties: true }),
)
const ResponseInput = Type.Union([Type.String(), Type.Array(ResponseInputItem)], { $id: 'ResponseInput' })

const ResponseInstructions = Type.Union([Type.String(), Type.Array(anyObject({ additionalProperties: true }))], {
  $id: 'ResponseInstructions',
})

/** Kinds of tools that are not served are refused by name. */
const ResponseTool = faces(
  Type.Object(
    {
      type: Type.Enum([
        'function',
        'file_search',
        'web_search_preview',
        'computer_use_preview',
        'code_interpreter',
        'image_generation',
        'mcp',
      ]),
      name: Type.Optional(Type.String()),
      description: Type.Optional(Type.String()),
      parameters: Type.Optional(anyObject({ additionalProperties: true })),
      strict: Type.Optional(Type.Boolean()),
      max_num_results: Type.Optional(Type.Integer({ minimum: 1, maximum: 50 })),
      vector_store_ids: Type.Optional(Type.Array(Type.String())),
    },
    { $id: 'ResponseTool', additionalProperties: true },
  ),
  Type.Object({ type: Type.String({ minLength: 1 }) }, { $id: 'ResponseTool', additionalProperties: true }),
)

const truncation = () =>
  Type.Optional(orNull(Type.Union([Type.Enum(['auto', 'disabled']), anyObject({ additionalProperties: true })])))
const text = (schema: ReturnType<typeof Type.String>) => Type.Optional(orNull(schema))

const input = {
  input: Type.Optional(ResponseInput),
  instructions: Type.Optional(orNull(ResponseInstructions)),
  previous_response_id: text(Type.String()),
  conversation: anyValue(),
  include: Include(),
  truncation: truncation(),
}

const TIERS = ['standard', 'priority', 'batch', 'flex']
const fields = {
  ...input,
  model: RequestedModelId,
  background: Type.Optional(orNull(Type.Boolean({ default: false }))),
  max_output_tokens: Type.Optional(orNull(Type.Integer({ minimum: 1 }))),
  metadata: Type.Optional(orNull(anyObject({ additionalProperties: true }))),
  parallel_tool_calls: Type.Optional(orNull(Type.Boolean())),
  reasoning: Type.Optional(orNull(anyObject({ additionalProperties: true }))),
  service_tier: Type.Optional(
    faces(Type.Enum(TIERS), Type.Union([Type.Enum([...TIERS, 'auto', 'default']), Type.Null()])),
  ),
  store: Type.Optional(orNull(Type.Boolean({ default: true }))),
  stream: Type.Optional(orNull(Type.Boolean({ default: false }))),
  stream_options: Type.Optional(
    orNull(Type.Object({ include_usage: Type.Optional(Type.Boolean()) }, { additionalProperties: true })),
  ),
  temperature: Type.Optional(orNull(Type.Number())),
  text: Type.Optional(orNull(anyObject({ additionalProperties: true }))),
  tool_choice: anyValue(),
  tools: Type.Optional(orNull(Type.Array(ResponseTool))),
  top_p: Type.Optional(orNull(Type.Number())),
}

/** Fields that are not known are ignored: clients are ahead of any list. */
export const ResponsesCreateRequest = faces(
  Type.Object(fields, { $id: 'ResponsesCreateRequest', additionalProperties: false }),
  Type.Object(fields, { $id: 'ResponsesCreateRequest', additionalProperties: true }),
)
export type ResponsesCreateRequest = Static<typeof ResponsesCreateRequest> & Record<string, unknown>

const tokensFields = { ...input, model: Type.Optional(RequestedModelId) }
export const ResponseInputTokensRequest = faces(
  Type.Object(tokensFields, { $id: 'ResponseInputTokensRequest', additionalProperties: false }),
  Type.Object(
    { ...tokensFields, tools: fields.tools },
    { $id: 'ResponseInputTokensRequest', additionalProperties: true },
  ),
)
export type ResponseInputTokensRequest = Static<typeof ResponseInputTokensRequest> & Record<string, unknown>

const inputDetails = () =>
  Type.Object(
    { cached_tokens: Type.Optional(Type.Integer()), cache_creation_input_tokens: Type.Optional(Type.Integer()) },
    { additionalProperties: true },
  )

export const ResponseInputTokensResponse = Type.Object(
  {
    object: Type.Literal('response.input_tokens'),
    input_tokens: Type.Integer(),
    input_tokens_details: inputDetails(),
  },
  { $id: 'ResponseInputTokensResponse', additionalProperties: false },
)
export type ResponseInputTokensResponse = Static<typeof ResponseInputTokensResponse>

export const ResponseItem = Type.Object(
  {
    id: Type.String(),
    type: Type.Enum(['message', 'function_call', 'function_call_output']),
    role: Type.Optional(Type.String()),
    status: Type.Optional(Type.String()),
    content: Type.Optional(Type.Array(ResponseContentPart)),
    name: Type.Optional(Type.String()),
    arguments: Type.Optional(Type.String()),
    call_id: Type.Optional(Type.String()),
  },
  { $id: 'ResponseItem', additionalProperties: false },
)
/** What a part of a refusal says. */
interface Refusal {
  refusal?: string
}
export type ResponseItem = Omit<Static<typeof ResponseItem>, 'content'> & {
  content?: (NonNullable<Static<typeof ResponseItem>['content']>[number] & Refusal)[]
}

export const ResponseUsage = Type.Object(
  {
    input_tokens: Type.Integer(),
    input_tokens_details: Type.Optional(inputDetails()),
    output_tokens: Type.Integer(),
    output_tokens_details: Type.Optional(
      Type.Object({ reasoning_tokens: Type.Optional(Type.Integer()) }, { additionalProperties: true }),
    ),
    total_tokens: Type.Integer(),
  },
  { $id: 'ResponseUsage', additionalProperties: false },
)
export type ResponseUsage = Static<typeof ResponseUsage>

const RESPONSE_STATUSES = ['queued', 'in_progress', 'completed', 'cancelled', 'failed', 'incomplete'] as const
export const ResponseStatus = Type.Enum([...RESPONSE_STATUSES])
export type ResponseStatus = (typeof RESPONSE_STATUSES)[number]

export const ResponseObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('response'),
    created_at: Type.Integer(),
    status: ResponseStatus,
    background: Type.Optional(Type.Boolean()),
    model: Type.String(),
    instructions: Type.Optional(Type.Unknown()),
    previous_response_id: Type.Optional(Type.String()),
    output: Type.Array(ResponseItem),
    output_text: Type.String(),
    usage: ResponseUsage,
    error: Type.Optional(anyObject({ additionalProperties: true })),
    incomplete_details: Type.Optional(anyObject({ additionalProperties: true })),
    metadata: Type.Optional(anyObject({ additionalProperties: true })),
    service_tier: Type.Optional(Type.String()),
    store: Type.Optional(Type.Boolean()),
  },
  { $id: 'ResponseObject', additionalProperties: false },
)
export type ResponseObject = Static<typeof ResponseObject>

export const ResponseDeleted = Type.Object(
  { id: Type.String(), object: Type.Literal('response'), deleted: Type.Boolean() },
  { $id: 'ResponseDeleted', additionalProperties: false },
)
export type ResponseDeleted = Static<typeof ResponseDeleted>

export const ResponseInputItemList = Type.Object(
  {
    object: Type.Literal('list'),
    data: Type.Array(ResponseItem),
    has_more: Type.Boolean(),
    first_id: Type.Optional(Type.String()),
    last_id: Type.Optional(Type.String()),
  },
  { $id: 'ResponseInputItemList', additionalProperties: false },
)
export type ResponseInputItemList = Static<typeof ResponseInputItemList>

export const ResponseQuery = Type.Object({
  stream: Type.Optional(Type.Boolean({ description: 'Answer with the events of the response.' })),
  starting_after: Type.Optional(
    faces(
      Type.Integer({ description: 'Only events after the one of this sequence number.' }),
      Type.Integer({ minimum: -1, maximum: 2 ** 31 }),
    ),
  ),
  include: Type.Optional(Type.Array(ResponseIncludeValue)),
})
export type ResponseQuery = Static<typeof ResponseQuery>

export const InputItemsQuery = Type.Object({
  after: Type.Optional(Type.String()),
  before: Type.Optional(Type.String({ description: 'Only items before this one, the nearest first.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  order: Type.Optional(Type.Enum(['asc', 'desc'], { type: 'string', default: 'asc' })),
  include: Type.Optional(Type.Array(ResponseIncludeValue)),
})
export type InputItemsQuery = Static<typeof InputItemsQuery>
