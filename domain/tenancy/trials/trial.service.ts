import { randomBytes } from 'node:crypto'
import { inTransaction, type Database, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { TrialSettings } from '../../../infra/config.ts'
import { sha256 } from '../../../infra/crypto/sha256.ts'
import { badRequest, conflict, DomainError, paymentRequired } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import { postCredit } from '../../money/ledger/ledger.service.ts'
import { parseUsd } from '../../money/ledger/money.rules.ts'
import { createKeyIn, revokeKeyIn, type CreatedKey } from '../keys/keys.service.ts'
import { createUserIn } from '../accounts/account.service.ts'
import { createProject } from '../projects/project.service.ts'
import { requireEnabledUser } from '../users/user.service.ts'
import { isStorable, isTooDeep } from '../../core/text.rules.ts'
import { secondsToNextDay } from '../../core/time-window.rules.ts'
import type { VscodeTrialRequest, VscodeTrialResponse } from './trial.schema.ts'
import {
  countTrialsToday,
  insertIdentities,
  insertTrial,
  isAnyKnown,
  lockTrials,
  selectTrialProvenBy,
  setTrialKey,
  type TrialRow,
} from './trial.sql.ts'

export interface TrialDeps {
  db: Database
  /** What the key of a trial may use; undefined where it is not served. */
  trialModel: string | undefined
  config: { vscodeTrials: TrialSettings | undefined }
  /** Keyed: nobody who reads the database learns which machines and addresses are in it. */
  identityHash: (kind: string, value: string) => Buffer
}

const NAME = 'VS Code trial'
const DAY_MS = 86_400_000
/** The operation has no limit of requests of its own. */
const MOST_KEYS_A_DAY = 20
const MOST_ATTRIBUTION_CHARACTERS = 4_096

/** Sent with a trial's first reply, and back to renew it: the contract's reply has no room for it. */
export const RENEWAL_HEADER = 'x-ipop-renewal-secret'
const newRenewalSecret = () => `ipop_renewal_${randomBytes(32).toString('base64url')}`

/** What a request holds that only the owner of a trial knows: its key, or its renewal secret. */
export interface TrialProof {
  apiKey: string | undefined
  renewalSecret: string | undefined
}

/** Who asks: by what may be known to others, and by what proves it. */
interface Applicant {
  /** Of the machine and the installation. */
  hashes: Buffer[]
  addressHash: Buffer
  proofs: Buffer[]
}

/** What a trial's key may do. */
interface Terms {
  settings: TrialSettings
  model: string
}

export interface StartedTrial {
  trial: VscodeTrialResponse
  /** Of a trial that begins: given this once, and stored as a hash. */
  renewalSecret?: string
}

/**
 * A trial without an account: an own user with a little credit, and a key for the default model. Who proves to own one
 * gets the same again with a new key; the key before is revoked. To name its machine or installation proves nothing.
 * The day is UTC's.
 * Errors: 400; 402 where it has ended; 409 where there are no trials here, or where the machine or the installation had
 * one and nothing proves whose it is; 429 at a limit, with the time to wait.
 */
export async function startTrial(
  deps: TrialDeps,
  request: VscodeTrialRequest,
  address: string,
  proof: TrialProof,
): Promise<StartedTrial> {
  requireStorable(request)
  const terms = termsOf(deps)
  const applicant = applicantOf(deps, request, address, proof)
  // Asked twice: what is refused anyway does not wait for the lock.
  await requireRoom(deps.db, terms, applicant)
  return inTransaction(deps.db, async tx => {
    await lockTrials(tx)
    const own = await requireRoom(tx, terms, applicant)
    return own === undefined ? openTrial(tx, terms, applicant, request) : renewTrial(tx, terms, applicant, own)
  })
}

function termsOf({ trialModel, config }: TrialDeps): Terms {
  const settings = config.vscodeTrials
  if (settings === undefined) throw noTrials('Trials are not enabled here.', 'trials_not_enabled')
  if (trialModel === undefined) throw noTrials('The model of the trials is not enabled here.', 'not_enabled')
  return { settings, model: trialModel }
}

const applicantOf = (
  { identityHash }: TrialDeps,
  request: VscodeTrialRequest,
  address: string,
  { apiKey, renewalSecret }: TrialProof,
): Applicant => ({
  hashes: [
    identityHash('machine', request.machine_id_hash),
    identityHash('installation', request.installation_id_hash),
  ],
  addressHash: identityHash('address', address),
  proofs: [apiKey, renewalSecret].filter(secret => secret !== undefined).map(sha256),
})

const noTrials = (message: string, type: string) =>
  new DomainError(409, 'capacity_unavailable', message, { type, retryable: false })

/** The trial of who asks, where that is proven. Errors: as of startTrial. */
async function requireRoom(db: Queryable, { settings }: Terms, applicant: Applicant): Promise<TrialRow | undefined> {
  const own = await selectTrialProvenBy(db, applicant.proofs)
  if (own !== undefined) {
    if (own.has_ended) throw paymentRequired(`This trial has ended. Go on at ${settings.upgradeUrl}`)
    if (own.keys_today >= MOST_KEYS_A_DAY) throw spent('This trial was given enough keys for today.', 'trial_keys')
    return own
  }
  if (await isAnyKnown(db, applicant.hashes)) throw unproven(settings)
  const today = await countTrialsToday(db, applicant.addressHash)
  if (today.all >= settings.perDay) throw spent('All trials of today are given out.', 'trials_per_day')
  if (today.address >= settings.perAddress) {
    throw spent('Enough trials began at this address today.', 'trials_per_address')
  }
  return undefined
}

const unproven = ({ upgradeUrl }: TrialSettings) =>
  conflict(
    'This machine or installation had a trial. To renew it, send its key as `x-api-key`, or the renewal secret that ' +
      `came with it as \`${RENEWAL_HEADER}\`. Go on without it at ${upgradeUrl}`,
  )

const spent = (message: string, type: string) =>
  new DomainError(429, 'rate_limit_exceeded', message, { type, retryAfterSeconds: secondsToNextDay(new Date()) })

async function openTrial(
  tx: Transaction,
  terms: Terms,
  { hashes, addressHash }: Applicant,
  request: VscodeTrialRequest,
): Promise<StartedTrial> {
  const { settings } = terms
  const { id: userId } = await createUserIn(tx, NAME)
  const credit = parseUsd(settings.creditUsd) ?? 0n
  if (credit > 0n) await postCredit(tx, userId, credit, NAME)
  const { id: projectId } = await createProject({ db: tx }, userId, NAME)
  const expiresAt = new Date(Date.now() + settings.days * DAY_MS)
  const trial = { id: newId('trial'), user_id: userId, project_id: projectId, expires_at: expiresAt }
  const made = await newTrialKey(tx, terms, trial)
  const renewalSecret = newRenewalSecret()
  await insertTrial(tx, {
    id: trial.id,
    userId,
    projectId,
    keyId: made.key.id,
    renewalSha256: sha256(renewalSecret),
    addressHash,
    extensionVersion: request.extension_version,
    attribution: request.attribution,
    expiresAt,
  })
  await insertIdentities(tx, trial.id, hashes)
  return { trial: trialView(terms, trial, made), renewalSecret }
}

/** The same trial: its credit, its day's requests and its end go on as they are. */
async function renewTrial(
  tx: Transaction,
  terms: Terms,
  { hashes }: Applicant,
  trial: TrialRow,
): Promise<StartedTrial> {
  await requireEnabledUser(tx, trial.user_id)
  await revokeKeyIn(tx, trial.key_id)
  const made = await newTrialKey(tx, terms, trial)
  await setTrialKey(tx, trial.id, made.key.id)
  await insertIdentities(tx, trial.id, hashes)
  return { trial: trialView(terms, trial, made) }
}

type Trial = Pick<TrialRow, 'id' | 'user_id' | 'project_id' | 'expires_at'>

const newTrialKey = (tx: Transaction, { settings, model }: Terms, trial: Trial): Promise<CreatedKey> =>
  createKeyIn(tx, {
    userId: trial.user_id,
    projectId: trial.project_id,
    name: NAME,
    allowedModels: [model],
    requestsPerDay: settings.requestsPerDay,
    expiresAt: trial.expires_at,
  })

const trialView = ({ settings, model }: Terms, trial: Trial, { key, secret }: CreatedKey): VscodeTrialResponse => ({
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
