import type { Catalog } from '../catalog/catalog.ts'
import { inTransaction, type Database, type Queryable, type Transaction } from '../../infra/postgres/database.ts'
import type { TrialSettings } from '../../infra/config.ts'
import { badRequest, DomainError, paymentRequired } from '../errors.ts'
import { newId } from '../ids.ts'
import { postCredit } from '../ledger/ledger.service.ts'
import { parseUsd } from '../ledger/money.rules.ts'
import { createApiKey, revokeKeyIn } from '../tenancy/keys.service.ts'
import { createProject, createUserIn, requireEnabledUser } from '../tenancy/tenancy.service.ts'
import { isStorable, isTooDeep } from '../text.rules.ts'
import { secondsToNextDay } from '../time-window.rules.ts'
import type { VscodeTrialRequest, VscodeTrialResponse } from './trial.schema.ts'
import {
  countTrialsToday,
  insertIdentities,
  insertTrial,
  lockTrials,
  selectTrialOf,
  setTrialKey,
  type TrialRow,
} from './trial.sql.ts'

export interface TrialDeps {
  db: Database
  catalog: Catalog
  config: { vscodeTrials: TrialSettings | undefined }
  /** Keyed: nobody who reads the database learns which machines and addresses are in it. */
  identityHash: (kind: string, value: string) => Buffer
}

const NAME = 'VS Code trial'
const DAY_MS = 86_400_000
/** Each asking makes a key, and needs no key. */
const MOST_KEYS_A_DAY = 20
const MOST_ATTRIBUTION_CHARACTERS = 4_096

/** What a request is known by, and what a trial's key may do. */
interface Terms {
  settings: TrialSettings
  model: string
  /** The machine's first: a shared installation is rarer than a new one. */
  hashes: Buffer[]
  addressHash: Buffer
}

/**
 * A trial without an account: an own user with a little credit, and a key for the default model. An installation or a
 * machine that had one gets the same one with a new key; the key before is revoked. The day is UTC's.
 * Errors: 400; 402 where it has ended; 409 where there are no trials here; 429 at a limit, with the time to wait.
 */
export async function startTrial(
  deps: TrialDeps,
  request: VscodeTrialRequest,
  address: string,
): Promise<VscodeTrialResponse> {
  requireStorable(request)
  const terms = termsOf(deps, request, address)
  // Asked twice: what is refused anyway does not wait for the lock.
  await requireRoom(deps.db, terms, await selectTrialOf(deps.db, terms.hashes))
  return inTransaction(deps.db, async tx => {
    await lockTrials(tx)
    const known = await selectTrialOf(tx, terms.hashes)
    await requireRoom(tx, terms, known)
    return known === undefined ? openTrial(tx, terms, request) : renewTrial(tx, terms, known)
  })
}

function termsOf({ catalog, config, identityHash }: TrialDeps, request: VscodeTrialRequest, address: string): Terms {
  const settings = config.vscodeTrials
  if (settings === undefined) throw noTrials('Trials are not enabled here.', 'trials_not_enabled')
  const model = catalog.entries.find(entry => entry.id === catalog.defaultModelId)
  if (model === undefined || catalog.routesOf(model).length === 0) {
    throw noTrials('The model of the trials is not enabled here.', 'not_enabled')
  }
  return {
    settings,
    model: model.id,
    hashes: [
      identityHash('machine', request.machine_id_hash),
      identityHash('installation', request.installation_id_hash),
    ],
    addressHash: identityHash('address', address),
  }
}

const noTrials = (message: string, type: string) =>
  new DomainError(409, 'capacity_unavailable', message, { type, retryable: false })

async function requireRoom(db: Queryable, terms: Terms, known: TrialRow | undefined): Promise<void> {
  const { settings } = terms
  if (known !== undefined) {
    if (known.has_ended) throw paymentRequired(`This trial has ended. Go on at ${settings.upgradeUrl}`)
    if (known.keys_today >= MOST_KEYS_A_DAY) throw spent('This trial was given enough keys for today.', 'trial_keys')
    return
  }
  const today = await countTrialsToday(db, terms.addressHash)
  if (today.all >= settings.perDay) throw spent('All trials of today are given out.', 'trials_per_day')
  if (today.address >= settings.perAddress) {
    throw spent('Enough trials began at this address today.', 'trials_per_address')
  }
}

const spent = (message: string, type: string) =>
  new DomainError(429, 'rate_limit_exceeded', message, { type, retryAfterSeconds: secondsToNextDay(new Date()) })

async function openTrial(tx: Transaction, terms: Terms, request: VscodeTrialRequest): Promise<VscodeTrialResponse> {
  const { settings, hashes, addressHash } = terms
  const { id: userId } = await createUserIn(tx, NAME)
  const credit = parseUsd(settings.creditUsd) ?? 0n
  if (credit > 0n) await postCredit(tx, userId, credit, NAME)
  const { id: projectId } = await createProject({ db: tx }, userId, NAME)
  const expiresAt = new Date(Date.now() + settings.days * DAY_MS)
  const trial = { id: newId('trial'), user_id: userId, project_id: projectId, expires_at: expiresAt }
  const made = await newTrialKey(tx, terms, trial)
  await insertTrial(tx, {
    id: trial.id,
    userId,
    projectId,
    keyId: made.key.id,
    addressHash,
    extensionVersion: request.extension_version,
    attribution: request.attribution,
    expiresAt,
  })
  await insertIdentities(tx, trial.id, hashes)
  return trialView(terms, trial, made)
}

/** The same trial: its credit, its day's requests and its end go on as they are. */
async function renewTrial(tx: Transaction, terms: Terms, trial: TrialRow): Promise<VscodeTrialResponse> {
  await requireEnabledUser(tx, trial.user_id)
  await revokeKeyIn(tx, trial.key_id)
  const made = await newTrialKey(tx, terms, trial)
  await setTrialKey(tx, trial.id, made.key.id)
  await insertIdentities(tx, trial.id, terms.hashes)
  return trialView(terms, trial, made)
}

type Trial = Pick<TrialRow, 'id' | 'user_id' | 'project_id' | 'expires_at'>
type MadeKey = Awaited<ReturnType<typeof createApiKey>>

const newTrialKey = (tx: Transaction, { settings, model }: Terms, trial: Trial): Promise<MadeKey> =>
  createApiKey(
    { db: tx },
    {
      userId: trial.user_id,
      projectId: trial.project_id,
      name: NAME,
      allowedModels: [model],
      requestsPerDay: settings.requestsPerDay,
      expiresAt: trial.expires_at,
    },
  )

const trialView = ({ settings, model }: Terms, trial: Trial, { key, secret }: MadeKey): VscodeTrialResponse => ({
  object: 'vscode_trial',
  trial_id: trial.id,
  api_key: secret,
  project_name: NAME,
  key_id: key.id,
  allowed_models: [model],
  daily_request_limit: settings.requestsPerDay,
  expires_at: trial.expires_at.toISOString(),
  upgrade_url: settings.upgradeUrl,
})

function requireStorable({ extension_version: version, attribution = {} }: VscodeTrialRequest): void {
  if (!isStorable(version)) {
    throw badRequest('`extension_version` holds a character that cannot be stored.', 'extension_version')
  }
  if (isTooDeep(attribution)) throw badRequest('`attribution` is nested too deeply.', 'attribution')
  if (!isStorable(attribution)) {
    throw badRequest('`attribution` holds a character that cannot be stored.', 'attribution')
  }
  if (JSON.stringify(attribution).length <= MOST_ATTRIBUTION_CHARACTERS) return
  throw badRequest(
    `\`attribution\` must have at most ${MOST_ATTRIBUTION_CHARACTERS} characters as JSON.`,
    'attribution',
  )
}
