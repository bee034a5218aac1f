import type { DiskSpace } from '../../../infra/objects/disk-space.ts'
import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { DomainError, notFound, serviceUnavailable } from '../../core/errors.ts'
import {
  addCorrections,
  foldParts,
  selectStorageDifferences,
  selectStored,
  setQuota,
  type StorageDifference,
  type StoredRow,
} from './storage.sql.ts'

/** What an account may keep, in bytes, unless it has a quota of its own. */
export interface StorageQuotas {
  withCredit: number
  withoutCredit: number
}

/**
 * Refuses to keep more for an account that keeps as much as it may, or where the disk is nearly full. Asked before
 * what is kept is made: calls of the same instant may exceed the quota by what they keep.
 * Errors: 403 `storage_quota_exceeded`; 503 `storage_full`.
 */
export type RequireStorage = (userId: string) => Promise<void>

const RETRY_AFTER_SECONDS = 60
const PARTS_AT_ONCE = 1_000

export function createRequireStorage(deps: { db: Database; disk: DiskSpace; quotas: StorageQuotas }): RequireStorage {
  return async userId => {
    if (await deps.disk.isNearlyFull())
      throw serviceUnavailable(
        'The disk of this server is nearly full: nothing more can be kept now.',
        RETRY_AFTER_SECONDS,
      )
    const stored = await selectStored(deps.db, userId)
    if (stored === undefined) return
    const quota = quotaOf(stored, deps.quotas)
    if (stored.used_bytes >= quota) throw quotaExceeded(stored.used_bytes, quota)
  }
}

const quotaOf = ({ quota_bytes, has_credit }: StoredRow, quotas: StorageQuotas): bigint =>
  quota_bytes ?? BigInt(has_credit ? quotas.withCredit : quotas.withoutCredit)

const quotaExceeded = (used: bigint, quota: bigint): DomainError =>
  new DomainError(
    403,
    'policy_violation',
    `storage_quota_exceeded: the account keeps ${used} bytes and may keep ${quota}. ` +
      'Delete files or stored responses, or send responses with `store: false`.',
    { type: 'storage_quota_exceeded' },
  )

/** What the account keeps, and its quota. Errors: 404. */
export async function storageOf(
  { db, quotas }: { db: Database; quotas: StorageQuotas },
  userId: string,
): Promise<{ usedBytes: bigint; quotaBytes: bigint; isOwnQuota: boolean }> {
  const stored = await selectStored(db, userId)
  if (stored === undefined) throw notFound('user', 'user')
  return {
    usedBytes: stored.used_bytes,
    quotaBytes: quotaOf(stored, quotas),
    isOwnQuota: stored.quota_bytes !== null,
  }
}

/** Sets an account's own quota; null for the deployment's. Errors: 404. */
export async function setStorageQuota({ db }: { db: Database }, userId: string, bytes: bigint | null): Promise<void> {
  if (!(await setQuota(db, userId, bytes))) throw notFound('user', 'user')
}

/** Compares what was counted with the rows it stands for; what differs, by account and kind. */
export const verifyStorage = ({ db }: { db: Database }): Promise<StorageDifference[]> => selectStorageDifferences(db)

/** Makes the counts those of the rows, also while accounts write. */
export async function repairStorage(
  { db }: { db: Database },
  differences: readonly StorageDifference[],
): Promise<void> {
  await inTransaction(db, tx => addCorrections(tx, differences))
}

/** Keeps the counts small; true where there may be more to do. */
export const sweepStorageParts = async ({ db }: { db: Database }): Promise<boolean> =>
  (await foldParts(db, PARTS_AT_ONCE)) === PARTS_AT_ONCE
