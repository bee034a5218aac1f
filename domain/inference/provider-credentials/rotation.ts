import { UnopenableSecret, type SecretBox } from '../../../infra/crypto/sealing.ts'
import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import { openKey, ownerOf, sealKey } from './credential-key.ts'
import { countSealedBy, selectSealedOtherwise, setResealed, type CredentialRow } from './credential.sql.ts'

const BATCH = 100

export interface Rotation {
  /** Id of the secrets key that seals everything now, but for what could not be opened. */
  secrets_key: string
  resealed: number
  /** Were sealed by that key before. */
  unchanged: number
  /** Ids of the credentials that no configured secrets key opens. */
  unopenable: string[]
}

/** Seals every stored key under the first secrets key. Batches are committed each by itself; run it again at will. */
export async function rotateSecrets(deps: { db: Database; secrets: SecretBox }): Promise<Rotation> {
  const rotation: Rotation = {
    secrets_key: deps.secrets.keyId,
    resealed: 0,
    unchanged: await countSealedBy(deps.db, deps.secrets.keyId),
    unopenable: [],
  }
  let after = ''
  for (;;) {
    const rows = await inTransaction(deps.db, tx => resealBatch(tx, deps.secrets, after, rotation))
    const last = rows.at(-1)
    if (last === undefined) return rotation
    after = last.id
  }
}

async function resealBatch(
  tx: Transaction,
  secrets: SecretBox,
  after: string,
  rotation: Rotation,
): Promise<CredentialRow[]> {
  const rows = await selectSealedOtherwise(tx, secrets.keyId, { after, limit: BATCH })
  for (const row of rows) {
    if (await reseal(tx, secrets, row)) rotation.resealed += 1
    else rotation.unopenable.push(row.id)
  }
  return rows
}

/** False where the key cannot be opened: then it is left as it is. */
async function reseal(tx: Transaction, secrets: SecretBox, row: CredentialRow): Promise<boolean> {
  try {
    const apiKey = openKey(secrets, row)
    if (apiKey === undefined) return false
    const { secretsKeyId, sealedKey } = sealKey(secrets, ownerOf(row), row.id, apiKey)
    if (secretsKeyId === null || sealedKey === null) return false
    await setResealed(tx, row.id, { secretsKeyId, sealedKey })
    return true
  } catch (error) {
    if (error instanceof UnopenableSecret) return false
    throw error
  }
}
