import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { openKey, sealKey } from '../../domain/inference/provider-credentials/credential-key.ts'
import { insertCredential, selectCredentials } from '../../domain/inference/provider-credentials/credential.sql.ts'
import type { Rotation } from '../../domain/inference/provider-credentials/rotation.ts'
import { newId } from '../../domain/core/ids.ts'
import { createUser } from '../../domain/tenancy/accounts/account.service.ts'
import { readConfig, requireSecretsKeys } from '../../infra/config.ts'
import { createSecretBox } from '../../infra/crypto/sealing.ts'
import { inTransaction, openDatabase, type Database } from '../../infra/postgres/database.ts'
import { migrate } from '../../infra/postgres/migrate.ts'
import { ipop, ipopJson } from './ipop.ts'
import { createDatabase, type OwnDatabase } from './own-database.ts'

const secretsKey = (id: string) => `${id}:${randomBytes(32).toString('hex')}`
const [K1, K2, K3] = [secretsKey('k1'), secretsKey('k2'), secretsKey('k3')]
const boxOf = (SECRETS_KEY: string) => createSecretBox(requireSecretsKeys(readConfig({ SECRETS_KEY })))
const ROTATE = ['secrets', 'rotate']

let own: OwnDatabase
let db: Database
beforeAll(async () => {
  own = await createDatabase()
  await migrate(own.url)
  db = openDatabase({ url: own.url, poolSize: 2, applicationName: 'ipop-test' })
})
afterAll(async () => {
  await db.close()
  await own.drop()
})
beforeEach(() => db.query('DELETE FROM provider_credentials'))

const environment = (SECRETS_KEY: string) => ({ DATABASE_URL: own.url, SECRETS_KEY })

/** Credentials of a new account, sealed by that key; `key-0` and so on, the last one without a key. */
async function sealedBy(secrets: string, count: number) {
  const owner = { userId: (await createUser({ db }, 'test')).id, projectId: null }
  const none = { secretsKeyId: null, sealedKey: null, maskedKey: '' }
  await inTransaction(db, async tx => {
    for (let index = 0; index <= count; index += 1) {
      const id = newId('cred')
      const key = index === count ? none : sealKey(boxOf(secrets), owner, id, `key-${index}`)
      await insertCredential(tx, owner, { id, provider: 'openai', label: 'x', baseUrl: null, ...key }, count + 1)
    }
  })
  return owner
}

const openedBy = async (secrets: string, owner: { userId: string; projectId: null }) =>
  (await selectCredentials(db, owner)).toReversed().map(row => openKey(boxOf(secrets), row))

describe('ipop secrets rotate', () => {
  test('seals everything under the first key, of all accounts, in more than one batch; again changes nothing', async () => {
    const owner = await sealedBy(K1, 230)
    const other = await sealedBy(K2, 3)
    const env = environment(`${K2},${K1}`)
    expect(await ipopJson<Rotation>(ROTATE, env)).toEqual({
      secrets_key: 'k2',
      resealed: 230,
      unchanged: 3,
      unopenable: [],
    })
    const keys = (count: number) => [...Array.from({ length: count }, (_, index) => `key-${index}`), undefined]
    expect(await openedBy(K2, owner)).toEqual(keys(230))
    expect(await openedBy(K2, other)).toEqual(keys(3))
    const before = await selectCredentials(db, owner)
    expect(await ipopJson<Rotation>(ROTATE, env)).toMatchObject({ resealed: 0, unchanged: 233 })
    expect(await selectCredentials(db, owner)).toEqual(before)
  })

  test('leaves what it cannot open as it is, names it, seals the rest and ends with 1', async () => {
    const lost = await sealedBy(K3, 1)
    const owner = await sealedBy(K1, 2)
    const { code, stdout } = await ipop(ROTATE, environment(`${K2},${K1}`))
    const lostId = (await selectCredentials(db, lost)).find(row => row.sealed_key !== null)?.id ?? ''
    expect(code).toBe(1)
    expect(stdout.trimEnd().split('\n')).toEqual([
      'Sealed 2 under k2; 0 had been before.',
      `FAIL  ${lostId}: no key of SECRETS_KEY opens it`,
    ])
    expect(await openedBy(K2, owner)).toEqual(['key-0', 'key-1', undefined])
    expect(await openedBy(K3, lost)).toEqual(['key-0', undefined])
  })

  test('without keys, or with wrong ones, says so in a sentence that shows none', async () => {
    const without = await ipop(ROTATE, { DATABASE_URL: own.url, DATA_DIR: '/nonexistent' })
    expect(without).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^SECRETS_KEY is not set: /) })
    const wrong = await ipop(ROTATE, environment('k1:hunter2'))
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringMatching(/^SECRETS_KEY is wrong/) })
    expect(wrong.stderr).not.toContain('hunter2')
  })
})
