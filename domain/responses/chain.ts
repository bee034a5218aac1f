import { isLarge } from '../../infra/large-json.ts'
import type { Queryable } from '../../infra/postgres/database.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { ChatCompletionRequest } from '../chat/chat.schema.ts'
import { badRequest, conflict, notFound } from '../errors.ts'
import type { Owner } from '../tenancy/tenancy.rules.ts'
import { messagesOf, storedItems } from './input.rules.ts'
import type { ResponseItem, ResponsesCreateRequest } from './response.schema.ts'
import { hasResponse, selectChain } from './response.sql.ts'
import { startThatFits } from './truncation.rules.ts'
import type { Asker, ThreadDeps } from '../threads/thread-work.ts'

type Messages = ChatCompletionRequest['messages']
type Asked = Pick<ResponsesCreateRequest, 'instructions' | 'previous_response_id' | 'truncation'>

const LONGEST_CHAIN = 200
/** Of all responses of a chain together: it is loaded whole, by calls that may be free. */
const LARGEST_CHAIN_BYTES = 16 * 1024 * 1024

/**
 * The messages of a response: its instructions (those of earlier responses do not go on), the whole chain before it,
 * and its own input. Errors: 404, 409 for the response before.
 */
export async function messagesOfChain(
  db: Queryable,
  owner: Owner,
  request: Asked,
  input: readonly ResponseItem[],
): Promise<{ instructions: Messages; conversation: Messages }> {
  const earlier = request.previous_response_id ?? undefined
  const before = earlier === undefined ? [] : await itemsBefore(db, owner, earlier)
  return { instructions: instructionsOf(request.instructions), conversation: messagesOf([...before, ...input]) }
}

function instructionsOf(instructions: unknown): Messages {
  if (instructions === undefined || instructions === null) return []
  if (typeof instructions === 'string') return [{ role: 'system', content: instructions }]
  return messagesOf(storedItems(instructions, index => `instructions_${index}`))
}

async function itemsBefore(db: Queryable, owner: Owner, responseId: string): Promise<ResponseItem[]> {
  const chain = await selectChain(db, owner, responseId, { most: LONGEST_CHAIN, mostBytes: LARGEST_CHAIN_BYTES })
  const [first] = chain
  if (first === undefined) {
    if (!(await hasResponse(db, owner, responseId))) throw notFound('response', 'previous_response_id')
    throw badRequest(
      `The responses of this chain hold more than ${LARGEST_CHAIN_BYTES} bytes: begin a new one.`,
      'previous_response_id',
    )
  }
  if (first.previous_response_id !== null) {
    throw conflict(
      chain.length > LONGEST_CHAIN
        ? `A chain has at most ${LONGEST_CHAIN} responses.`
        : 'An earlier response of this chain was deleted.',
      'previous_response_id',
    )
  }
  if (['queued', 'in_progress'].includes(chain.at(-1)?.status ?? ''))
    throw conflict('The response before is not finished.', 'previous_response_id')
  return chain.flatMap(({ input, output }) => [...input, ...output])
}

/** The conversation without its oldest turns, as much of it as fits into the model's window. Errors: 503. */
export async function truncated(
  { threadWork }: ThreadDeps,
  asker: Asker,
  { instructions, conversation }: { instructions: Messages; conversation: Messages },
  model: CatalogEntry,
): Promise<Messages> {
  const fit = { instructions, conversation, mostTokens: model.max_input_tokens }
  const start = isLarge(fit) ? await threadWork.startThatFits(asker, fit) : startThatFits(fit)
  return [...instructions, ...conversation.slice(start)]
}
