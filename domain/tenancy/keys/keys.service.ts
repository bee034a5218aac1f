import { randomBytes } from 'node:crypto'
import { inTransaction, type Database, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import { badRequest, notFound, rateLimited, unauthorized } from '../../core/errors.ts'
import { appendEvent } from '../../durable/outbox/events.service.ts'
import { newId } from '../../core/ids.ts'
import { secondsToNextDay } from '../../core/time-window.rules.ts'
import type { KeyCache } from './key-cache.ts'
import {
  announceKeyChange,
  insertKey,
  selectKeyByHash,
  selectKeys,
  setKeyRevoked,
  takeDailyRequest,
  type AuthenticatedKeyRow,
  type KeyRow,
} from './keys.sql.ts'
import { sha256 } from '../../../infra/crypto/sha256.ts'
import { requireUser } from '../users/user.service.ts'
import { selectProject } from '../projects/project.service.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { keyRefusal } from './key.rules.ts'

interface Deps {
  db: Database
}

export type AuthenticatedKey = AuthenticatedKeyRow

/** `ipop_` and 32 random bytes in base64url: recognisable in a leak scan, not guessable. */
const KEY_FORM = /^ipop_[A-Za-z0-9_-]{43}$/
const newSecret = () => `ipop_${randomBytes(32).toString('base64url')}`

export interface CreateKeyRequest {
  userId: string
  name: string
  projectId?: string | undefined
  allowedModels?: string[] | undefined
  externalProcessing?: boolean | undefined
  requestsPerMinute?: number | undefined
  concurrentStreams?: number | undefined
  /** All keys of the account that have such a limit count together. */
  requestsPerDay?: number | undefined
  smokeTest?: boolean | undefined
  expiresAt?: Date | undefined
}

/** Makes a key. The secret is in the reply and nowhere else: only its SHA-256 is stored. */
export const createApiKey = (deps: Deps, request: CreateKeyRequest): Promise<CreatedKey> =>
  inTransaction(deps.db, tx => createKeyIn(tx, request))

export interface CreatedKey {
  key: KeyRow
  secret: string
}

/** The same within a transaction. */
export async function createKeyIn(tx: Transaction, request: CreateKeyRequest): Promise<CreatedKey> {
  await requireUser({ db: tx }, request.userId)
  await requireProjectOfUser({ db: tx }, request)
  requireLimit(request.requestsPerMinute, 'requests_per_minute')
  requireLimit(request.concurrentStreams, 'concurrent_streams')
  requireLimit(request.requestsPerDay, 'requests_per_day')
  const secret = newSecret()
  const key = await insertKey(tx, {
    id: newId('key'),
    sha256: sha256(secret),
    hint: `…${secret.slice(-4)}`,
    userId: request.userId,
    projectId: request.projectId ?? null,
    name: request.name,
    allowedModels: request.allowedModels ?? null,
    externalProcessing: request.externalProcessing ?? true,
    requestsPerMinute: request.requestsPerMinute ?? null,
    concurrentStreams: request.concurrentStreams ?? null,
    requestsPerDay: request.requestsPerDay ?? null,
    smokeTest: request.smokeTest ?? false,
    expiresAt: request.expiresAt ?? null,
  })
  if (key === undefined) throw new Error('the key was not inserted')
  appendEvent(tx, changed(key, 'key.created'))
  return { key, secret }
}

const changed = <T extends 'key.created' | 'key.revoked'>(key: KeyRow, type: T) => ({
  owner: { userId: key.user_id, projectId: key.project_id },
  type,
  subject: key.id,
  payload: { name: key.name, hint: key.hint },
})

function requireLimit(limit: number | undefined, param: string): void {
  if (limit === undefined || (Number.isInteger(limit) && limit >= 1)) return
  throw badRequest(`\`${param}\` is a whole number from 1.`, param)
}

async function requireProjectOfUser(deps: { db: Queryable }, request: CreateKeyRequest): Promise<void> {
  if (request.projectId === undefined) return
  const project = await selectProject(deps.db, request.projectId)
  if (project?.user_id !== request.userId) throw notFound('project of this user', 'project')
}

export const listApiKeys = (deps: Deps, userId?: string): Promise<KeyRow[]> => selectKeys(deps.db, userId)

/**
 * Refused in every process from the commit on; its streams and downloads end (key-watch.ts). Jobs that it started, and
 * replies that come whole, go on: they are its account's, which may have lost this key alone.
 */
export async function revokeApiKey(deps: Deps, keyId: string): Promise<KeyRow> {
  return inTransaction(deps.db, tx => revokeKeyIn(tx, keyId))
}

/** The same within a transaction. */
export async function revokeKeyIn(tx: Transaction, keyId: string): Promise<KeyRow> {
  const revoked = await setKeyRevoked(tx, keyId)
  if (revoked === undefined) throw notFound('API key', 'key')
  await announceKeyChange(tx, keyId)
  const { was_revoked: wasRevoked, ...key } = revoked
  if (!wasRevoked) appendEvent(tx, changed(key, 'key.revoked'))
  return key
}

/** Has every process read its keys anew when the transaction commits: something that comes with them has changed. */
export const announceKeyChanges = (tx: Transaction): Promise<void> => announceKeyChange(tx, '')

/** Who calls with this secret. Errors: 401 saying why. */
export async function authenticate(
  deps: Deps & { keyCache: KeyCache },
  secret: string | undefined,
): Promise<AuthenticatedKeyRow> {
  if (secret === undefined || secret === '') {
    throw unauthorized('This operation needs an API key: send it as `x-api-key` or `Authorization: Bearer`.')
  }
  if (!KEY_FORM.test(secret)) throw unauthorized('The API key is not valid.')
  const key = await deps.keyCache.get(secret, () => selectKeyByHash(deps.db, sha256(secret)))
  if (key === undefined) throw unauthorized('The API key is not valid.')
  const refusal = keyRefusal(
    { revokedAt: key.revoked_at, expiresAt: key.expires_at, userDisabledAt: key.user_disabled_at },
    Date.now(),
  )
  if (refusal !== undefined) throw unauthorized(refusal)
  return key
}

/** Counts the request against the day of the key's account. Errors: 429 with the time to the next day (UTC). */
export async function limitDay(deps: Deps, key: AuthenticatedKeyRow, limit: number): Promise<void> {
  if (await takeDailyRequest(deps.db, key.user_id, limit)) return
  throw rateLimited(`This API key may make ${limit} requests a day.`, secondsToNextDay(new Date()))
}

export const callerOf = (key: AuthenticatedKeyRow): Caller => ({
  owner: { userId: key.user_id, projectId: key.project_id },
  keyId: key.id,
  rules: {
    allowedModels: key.allowed_models,
    externalProcessing: key.external_processing,
    smokeTest: key.smoke_test,
  },
  contentPolicy: key.content_policy,
})
