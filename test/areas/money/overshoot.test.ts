import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { addCredit } from '../../../domain/money/ledger/ledger.service.ts'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, worstCaseOf } from '../../support/chats.ts'
import { apiClient, type ApiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakeStats } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
/** What an output token of test/dear costs. */
const NANOS_PER_TOKEN = 1_000_000n
const LIMIT = { model: 'test/dear', max_completion_tokens: 100 }

let second: ApiProcess
beforeAll(async () => void (second = await spawnApi()))
afterAll(() => second.stop())

/** What the upstream counts the calls of each process under. */
const groupOf = (keyId: string, process: number) => `${keyId} ${process}`

/** A call that takes a while and costs that much. One length for all, so that all have the same worst case. */
const scriptOf = (group: string, tokens: bigint) => ({
  group,
  delayMs: 50,
  usage: { prompt_tokens: 0, completion_tokens: Number(tokens) },
  noise: 'x'.repeat(8 - String(tokens).length),
})

const sumOf = (counts: number[]) => counts.reduce((sum, count) => sum + count, 0)

interface Outcome {
  paid: number
  refused: number
}

/** So many clients at each API, each calling again and again until it is refused for good. */
async function spend(apis: ApiClient[], clients: number, requestTo: (process: number) => object): Promise<Outcome> {
  const client = async (api: ApiClient, request: object): Promise<Outcome> => {
    const outcome = { paid: 0, refused: 0 }
    while (outcome.refused < 3) {
      const reply = await api.post(CHAT, request)
      if (reply.status !== 200) expectError(reply, 402)
      if (reply.status === 200) outcome.paid += 1
      else outcome.refused += 1
    }
    return outcome
  }
  const outcomes = await Promise.all(
    apis.flatMap((api, process) => Array.from({ length: clients }, () => client(api, requestTo(process)))),
  )
  return outcomes.reduce((sum, { paid, refused }) => ({ paid: sum.paid + paid, refused: sum.refused + refused }))
}

describe('a little credit and many calls at once', () => {
  test.each([
    { processes: 1, clients: 20, creditCalls: 3 },
    { processes: 1, clients: 8, creditCalls: 30 },
    { processes: 2, clients: 20, creditCalls: 3 },
    { processes: 2, clients: 10, creditCalls: 1 },
    { processes: 2, clients: 8, creditCalls: 30 },
  ])('%j: all of the credit is spent, and no more', async ({ processes, clients, creditCalls }) => {
    const tenant = await newTenant(db, { creditUsd: '0.001' })
    const worstNanos = await worstCaseOf(tenant, chatOf(scriptOf(groupOf(tenant.keyId, 0), 1n), LIMIT))
    expect(worstNanos % NANOS_PER_TOKEN).toBe(0n)
    // Half a call is left over, so that an account that pays for one too many shows it.
    const creditNanos = BigInt(creditCalls) * worstNanos + worstNanos / 2n
    await addCredit({ db }, tenant.userId, creditNanos - NANOS_PER_TOKEN, 'test')

    const apis = [tenant.api, apiClient(tenant.secret, second.url)].slice(0, processes)
    const { paid, refused } = await spend(apis, clients, process =>
      chatOf(scriptOf(groupOf(tenant.keyId, process), worstNanos / NANOS_PER_TOKEN), LIMIT),
    )

    const { balanceNanos, entriesNanos, calls, charges, hourly } = await booksOf(db, tenant)
    const stats = await Promise.all(
      apis.map((_, process) => fakeStats(testStack().upstreamUrl, groupOf(tenant.keyId, process))),
    )
    const called = sumOf(stats.map(({ calls: all }) => all))
    expect({ calls: calls.length, charges: charges.length, called, paid }).toEqual({
      calls: creditCalls,
      charges: creditCalls,
      called: creditCalls,
      paid: creditCalls,
    })
    expect(balanceNanos).toBe(creditNanos - BigInt(creditCalls) * worstNanos)
    expect(balanceNanos).toBe(entriesNanos)
    expect(hourly).toMatchObject({ requests: BigInt(paid), cost_nanos: BigInt(paid) * worstNanos })
    expect(refused).toBe(3 * clients * processes)
  })
})
