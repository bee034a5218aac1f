import { expect, test } from '@jest/globals'
import { createPauses, MODEL_PAUSES } from '../../../../domain/inference/provider-routes/pauses.ts'
import type { Database } from '../../../../infra/postgres/database.ts'
import { silent } from '../../fixtures.ts'

function createdPauses(query: () => Promise<unknown> = () => Promise.resolve()) {
  let tell: (payload: string) => void = () => undefined
  const told: unknown[][] = []
  const created = createPauses({
    db: { query: (_text: string, values: unknown[]) => (told.push(values), query()) } as unknown as Database,
    listener: {
      on: (channel, handler) => {
        if (channel === MODEL_PAUSES) tell = handler
      },
      onGap: () => undefined,
      close: () => Promise.resolve(),
    },
    log: silent,
  })
  return { pauses: created, told, hear: (payload: string) => tell(payload) }
}

const never = new AbortController().signal
const timed = async (work: Promise<void>) => {
  const startedAtMs = performance.now()
  await work
  return performance.now() - startedAtMs
}

test('a model that is not paused is not waited for', async () => {
  const { pauses, hear } = createdPauses()
  hear('other/model 60000')
  expect(await timed(pauses.wait('vendor/model', never))).toBeLessThan(30_000)
})

test('a pause of this process is waited for, and told to the others', async () => {
  const { pauses, told } = createdPauses()
  pauses.pause('vendor/model', 0.05)
  expect(told).toEqual([[MODEL_PAUSES, 'vendor/model 50']])
  expect(await timed(pauses.wait('vendor/model', never))).toBeGreaterThan(40)
})

test('a pause of another process is waited for; the longest counts', async () => {
  const { pauses, hear } = createdPauses()
  hear('vendor/model 60')
  hear('vendor/model 1')
  expect(await timed(pauses.wait('vendor/model', never))).toBeGreaterThan(45)
})

test('a pause that grows while it is waited for is waited for whole', async () => {
  const { pauses, hear } = createdPauses()
  hear('m 20')
  const waiting = timed(pauses.wait('m', never))
  hear('m 60')
  expect(await waiting).toBeGreaterThan(45)
})

test('who is aborted while waiting is rejected', async () => {
  const { pauses, hear } = createdPauses()
  hear('m 60000')
  const controller = new AbortController()
  const waiting = pauses.wait('m', controller.signal)
  controller.abort()
  await expect(waiting).rejects.toThrow(/abort/)
})

test('a database that is away does not keep this process from pausing', async () => {
  const { pauses } = createdPauses(() => Promise.reject(new Error('away')))
  pauses.pause('m', 0.03)
  expect(await timed(pauses.wait('m', never))).toBeGreaterThan(20)
})
