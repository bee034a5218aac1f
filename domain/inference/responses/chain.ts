import { isLarge } from '../../../infra/large-json.ts'
import type { Queryable } from '../../../infra/postgres/database.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import { badRequest, conflict, notFound } from '../../core/errors.ts'
import type { Caller, Owner } from '../../core/caller.rules.ts'
import { storedValue } from '../threads/stored-json.ts'
import { messagesOf, storedItems } from './input.rules.ts'
import type { ResponseItem, ResponsesCreateRequest } from './response.schema.ts'
import { selectChain, selectItems, type ChainLink } from './response.sql.ts'
import { askerOf, holdContent, type Hold } from './stored-response.ts'
import { startThatFits } from '../chat-request/truncation.rules.ts'
import type { TaskOwner, ThreadDeps } from '../threads/thread-work.ts'

interface Deps extends ThreadDeps {
  db: Queryable
}

type Messages = ChatCompletionRequest['messages']
type Asked = Pick<ResponsesCreateRequest, 'instructions' | 'previous_response_id' | 'truncation'>

const LONGEST_CHAIN = 200
/** Of all responses of a chain together: it is loaded whole, by calls that may be free. */
const LARGEST_CHAIN_BYTES = 16 * 1024 * 1024

/**
 * The messages of a response: its instructions (those of earlier responses do not go on), the whole chain before it,
 * and its own input. Errors: 404, 409, 400 for the response before, 503.
 */
export async function messagesOfChain(
  deps: Deps,
  caller: Caller,
  request: Asked,
  input: readonly ResponseItem[],
  hold: Hold,
): Promise<{ instructions: Messages; conversation: Messages }> {
  const earlier = request.previous_response_id ?? undefined
  const before = earlier === undefined ? [] : await itemsBefore(deps, caller.owner, earlier, hold)
  return { instructions: instructionsOf(request.instructions), conversation: messagesOf([...before, ...input]) }
}

function instructionsOf(instructions: unknown): Messages {
  if (instructions === undefined || instructions === null) return []
  if (typeof instructions === 'string') return [{ role: 'system', content: instructions }]
  return messagesOf(storedItems(instructions, index => `instructions_${index}`))
}

/** Measured before any of it is loaded. */
async function itemsBefore(deps: Deps, owner: Owner, responseId: string, hold: Hold): Promise<ResponseItem[]> {
  const chain = await selectChain(deps.db, owner, responseId, LONGEST_CHAIN)
  requireWhole(chain)
  const bytes = chain.reduce((sum, link) => sum + Number(link.content_bytes), 0)
  if (bytes > LARGEST_CHAIN_BYTES) {
    throw badRequest(
      `The responses of this chain hold more than ${LARGEST_CHAIN_BYTES} bytes: begin a new one.`,
      'previous_response_id',
    )
  }
  holdContent(hold, bytes)
  const ids = chain.map(({ id }) => id)
  const items = await selectItems(deps.db, owner, ids)
  if (items.length < ids.length) throw deletedBefore()
  const json = `[${items.flat().join(',')}]`
  return ((await storedValue(deps, askerOf(owner), json)) as ResponseItem[][]).flat()
}

/** Errors: 404 where there is no such response, 409 where the chain is too long, or not whole. */
function requireWhole(chain: readonly ChainLink[]): void {
  const [first] = chain
  if (first === undefined) throw notFound('response', 'previous_response_id')
  if (chain.length > LONGEST_CHAIN)
    throw conflict(`A chain has at most ${LONGEST_CHAIN} responses.`, 'previous_response_id')
  if (first.previous_response_id !== null) throw deletedBefore()
  if (['queued', 'in_progress'].includes(chain.at(-1)?.status ?? ''))
    throw conflict('The response before is not finished.', 'previous_response_id')
}

const deletedBefore = () => conflict('An earlier response of this chain was deleted.', 'previous_response_id')

/** The conversation without its oldest turns, as much of it as fits into the model's window. Errors: 503. */
export async function truncated(
  { threadWork }: ThreadDeps,
  taskOwner: TaskOwner,
  { instructions, conversation }: { instructions: Messages; conversation: Messages },
  model: CatalogEntry,
): Promise<Messages> {
  const fit = { instructions, conversation, mostTokens: model.max_input_tokens }
  const start = isLarge(fit) ? await threadWork.startThatFits(taskOwner, fit) : startThatFits(fit)
  return [...instructions, ...conversation.slice(start)]
}
