import { describe, expect, test } from '@jest/globals'
import { recordCalls } from '../../../domain/inference/calls/call.service.ts'
import { addCredit, heldFor, releaseHold, requireHold } from '../../../domain/money/ledger/ledger.service.ts'
import { withHold } from '../../../domain/money/leases/leases.ts'
import { verifyLedger } from '../../../domain/money/verify/verify.ts'
import { inTransaction } from '../../../infra/postgres/database.ts'
import { SqlState, sqlStateOf } from '../../../infra/postgres/sqlstate.ts'
import { jobBench } from '../../support/jobs.ts'
import { callOf } from '../../cli/ledger-books.ts'

const bench = jobBench()
const CREDIT = 100n

/** An open job of an account with credit. */
async function newJob() {
  const userId = await bench.newUser()
  await addCredit({ db: bench.db }, userId, CREDIT, 'to begin with')
  return { resourceId: await bench.newJob({ userId }), owner: { userId, projectId: null } }
}

type Job = Awaited<ReturnType<typeof newJob>>

const hold = ({ resourceId, owner }: Job, run: number, amount: bigint) => {
  const place = () =>
    inTransaction(bench.db, tx => requireHold(tx, { resourceId, run }, owner, amount, () => new Error('no credit')))
  return withHold(bench.db, owner.userId, place)
}
const release = ({ resourceId, owner }: Job) => inTransaction(bench.db, tx => releaseHold(tx, resourceId, owner))
const charge = ({ resourceId, owner }: Job, costNanos: bigint) => {
  const call = callOf({ userId: owner.userId, keyId: 'key' }, null, costNanos)
  return inTransaction(bench.db, tx => recordCalls(tx, [{ ...call, resourceId }]))
}
const accountOf = async ({ owner }: Job) =>
  (await bench.db.query('SELECT balance_nanos, held_nanos FROM accounts WHERE user_id = $1', [owner.userId])).rows[0]
const holdsOf = async ({ resourceId }: Job) => {
  const text = 'SELECT run, amount_nanos, remaining_nanos FROM holds WHERE resource_id = $1 ORDER BY run'
  return (await bench.db.query(text, [resourceId])).rows
}
const refused = async (work: Promise<unknown>) => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(sqlStateOf(error)).toBe(SqlState.secondHold)
}

describe('holds of a resource', () => {
  test('the next run has a hold of its own, which its charges draw on, and the books agree', async () => {
    const job = await newJob()
    await hold(job, 1, 40n)
    await charge(job, 10n)
    await release(job)
    expect(await accountOf(job)).toEqual({ balance_nanos: 90n, held_nanos: 0n })

    await hold(job, 2, 50n)
    expect(await accountOf(job)).toEqual({ balance_nanos: 90n, held_nanos: 50n })
    expect(await heldFor(bench.db, job.resourceId)).toBe(50n)
    await charge(job, 20n)
    expect(await holdsOf(job)).toEqual([
      { run: 1, amount_nanos: 40n, remaining_nanos: 0n },
      { run: 2, amount_nanos: 50n, remaining_nanos: 30n },
    ])
    expect(await verifyLedger({ db: bench.db })).toMatchObject({ ok: true })

    await release(job)
    await release(job)
    expect(await accountOf(job)).toEqual({ balance_nanos: 70n, held_nanos: 0n })
    expect(await verifyLedger({ db: bench.db })).toMatchObject({ ok: true })
  })

  test('the same hold again changes nothing', async () => {
    const job = await newJob()
    await hold(job, 1, 40n)
    await hold(job, 1, 40n)
    expect(await holdsOf(job)).toEqual([{ run: 1, amount_nanos: 40n, remaining_nanos: 40n }])
    expect(await accountOf(job)).toEqual({ balance_nanos: CREDIT, held_nanos: 40n })
  })

  test('a hold that would set nothing aside fails: of another amount, beside an open one, after its release', async () => {
    const job = await newJob()
    await hold(job, 1, 40n)
    await refused(hold(job, 1, 41n))
    await refused(hold(job, 2, 10n))
    await release(job)
    await refused(hold(job, 1, 40n))
    expect(await accountOf(job)).toEqual({ balance_nanos: CREDIT, held_nanos: 0n })
    await hold(job, 2, 10n)
    expect(await accountOf(job)).toEqual({ balance_nanos: CREDIT, held_nanos: 10n })
    expect(await verifyLedger({ db: bench.db })).toMatchObject({ ok: true })
  })

  test('of two at once one is placed', async () => {
    const job = await newJob()
    const both = await Promise.allSettled([hold(job, 1, 30n), hold(job, 2, 30n)])
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(await accountOf(job)).toEqual({ balance_nanos: CREDIT, held_nanos: 30n })
    expect(await verifyLedger({ db: bench.db })).toMatchObject({ ok: true })
  })

  test('what the account does not cover is refused with the words of who asks', async () => {
    const job = await newJob()
    await expect(hold(job, 1, CREDIT + 1n)).rejects.toThrow('no credit')
    expect(await holdsOf(job)).toEqual([])
  })
})
