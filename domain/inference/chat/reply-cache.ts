import { createHash } from 'node:crypto'
import { isLarge } from '../../../infra/large-json.ts'
import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { Chunk } from '../../../infra/upstreams/chunk.ts'
import { ChunkReader } from '../../../infra/upstreams/normal/chunks.ts'
import { isPrivate } from '../provider-routes/call-policy.rules.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { createAssembly } from './assembly.rules.ts'
import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import type { ChatPart } from './chat-stream.ts'
import { statedLimitOf } from '../chat-request/output-limit.rules.ts'
import { passedFields } from '../chat-request/passed-fields.rules.ts'
import {
  deleteExpiredReplies,
  selectReply,
  upsertReply,
  type CacheBounds,
  type CachedReply,
} from './reply-cache.sql.ts'

interface Deps {
  db: Database
  log: Log
}

/**
 * Of an account. Not of its storage quota: a cache that is full must not keep files from being stored, nor need what it
 * has be counted through a crash, which empties it.
 */
const BOUNDS: CacheBounds = { lifeSeconds: 60 * 60, mostReplies: 1_000, mostBytes: 32 * 1024 * 1024 }
const LARGEST_REPLY_CHARACTERS = 256 * 1024
const SWEEP_LIMIT = 1_000
/** A reply that was cut off is no answer to keep. */
const WHOLE: ReadonlySet<unknown> = new Set(['stop', 'tool_calls'])

/** Whether the call may use, and fill, its project's cache of replies to exactly the same request. */
export const usesCache = ({ metadata }: ChatCompletionRequest): boolean =>
  metadata?.cache_mode === 'aggressive' && !isPrivate(metadata)

export const findReply = (deps: Deps, owner: Owner, request: ChatCompletionRequest): Promise<CachedReply | undefined> =>
  selectReply(deps.db, owner, hashOf(request))

/** Keeps a whole reply for an hour. A failure costs a later call its hit and nothing else. */
export async function keepReply(deps: Deps, owner: Owner, request: ChatCompletionRequest, reply: CachedReply) {
  if (!reply.choices.every(choice => WHOLE.has(choice['finish_reason']))) return
  if (isLarge(reply)) return
  const json = JSON.stringify(reply)
  if (json.length > LARGEST_REPLY_CHARACTERS) return
  try {
    await upsertReply(deps.db, owner, hashOf(request), json, BOUNDS)
  } catch (error) {
    deps.log.warn({ err: error }, 'a reply could not be cached')
  }
}

/** Passes a stream on, and keeps what it was once it has ended whole. */
export async function* keepingReply(
  parts: AsyncIterable<ChatPart[]>,
  keep: (reply: Omit<CachedReply, 'sandbox'>) => Promise<void>,
): AsyncGenerator<ChatPart[], void> {
  const assembly = createAssembly()
  for await (const together of parts) {
    for (const part of together) {
      if (part.kind === 'chunk') assembly.add(part.chunk)
      else await keep({ choices: assembly.choices(), usage: part.usage })
    }
    yield together
  }
}

/** A kept reply as an upstream would have streamed it: a chunk a choice, then its usage. */
export async function* chunksOfReply({ choices, usage }: CachedReply): AsyncGenerator<Chunk[], void> {
  const reader = new ChunkReader(choices.length)
  const chunks = choices.map(({ message, ...choice }) => ({
    choices: [{ ...choice, delta: deltaOf(message as Record<string, unknown>) }],
  }))
  yield [...chunks, { choices: [], usage }].flatMap(chunk => reader.add(chunk, false) ?? [])
}

function deltaOf({ tool_calls: calls, ...message }: Record<string, unknown>): Record<string, unknown> {
  if (!Array.isArray(calls)) return message
  return { ...message, tool_calls: calls.map((call: object, index) => ({ index, ...call })) }
}

/** Removes replies that have expired; true where there may be more. */
export const sweepReplies = async (deps: Pick<Deps, 'db'>): Promise<boolean> =>
  (await deleteExpiredReplies(deps.db, SWEEP_LIMIT)) === SWEEP_LIMIT

/** Of all that an upstream would be asked but how the reply travels. */
function hashOf(request: ChatCompletionRequest): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([request.model, passedFields(request), statedLimitOf(request)]))
    .digest()
}
