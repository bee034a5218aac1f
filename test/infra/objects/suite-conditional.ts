import { once } from 'node:events'
import { Readable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import type { ObjectInfo } from '../../../infra/objects/store.ts'
import { until } from '../../support/until.ts'
import { patternStream, textOf } from './bodies.ts'
import type { Suite } from './store-under-test.ts'

const FAILED = { name: 'ObjectStoreError', code: 'PreconditionFailed' }
const LARGE_BYTES = 9 * 1024 * 1024

export function conditionalTests(suite: Suite): void {
  describe('conditional puts', () => {
    test('ifAbsent writes once', async () => {
      const key = suite.key()
      await suite.store().put(key, Buffer.from('first'), { ifAbsent: true })
      const again = suite.store().put(key, Buffer.from('second'), { ifAbsent: true })
      await expect(again).rejects.toMatchObject(FAILED)
      expect(await textOf((await suite.store().get(key)).body)).toBe('first')
      await suite.store().delete(key)
      await suite.store().put(key, Buffer.from('third'), { ifAbsent: true })
      expect(await textOf((await suite.store().get(key)).body)).toBe('third')
    })

    test('ifMatch writes over what it was told of, and nothing else', async () => {
      const key = suite.key()
      const first = await suite.store().put(key, Buffer.from('first'))
      const second = await suite.store().put(key, Buffer.from('second'), { ifMatch: first.etag })
      const late = suite.store().put(key, Buffer.from('late'), { ifMatch: first.etag })
      await expect(late).rejects.toMatchObject(FAILED)
      expect(await suite.store().head(key)).toMatchObject({ etag: second.etag, sizeBytes: 6 })
    })

    test('ifMatch fails where nothing is', async () => {
      for (const sizeBytes of [1, LARGE_BYTES]) {
        const put = suite.store().put(suite.key(), patternStream(sizeBytes), { ifMatch: '0'.repeat(32) })
        await expect(put).rejects.toMatchObject(FAILED)
      }
    })

    test('hold for large objects too, and leave nothing when they fail', async () => {
      const key = suite.key()
      const first = await suite.store().put(key, patternStream(LARGE_BYTES), { ifAbsent: true })
      const again = suite.store().put(key, patternStream(LARGE_BYTES), { ifAbsent: true })
      await expect(again).rejects.toMatchObject(FAILED)
      await suite.store().put(key, patternStream(LARGE_BYTES + 1), { ifMatch: first.etag })
      const late = suite.store().put(key, patternStream(LARGE_BYTES + 2), { ifMatch: first.etag })
      await expect(late).rejects.toMatchObject(FAILED)
      expect(await suite.store().head(key)).toMatchObject({ sizeBytes: LARGE_BYTES + 1 })
      expect(await suite.current().leftovers()).toEqual([])
    })

    test('hold for what is written while a large upload is under way', async () => {
      const key = suite.key()
      const gate = new AbortController()
      const body = Readable.from(bytesAround(once(gate.signal, 'abort')))
      const failure = suite
        .store()
        .put(key, body, { ifAbsent: true })
        .catch((error: unknown) => error)
      await until(async () => (await suite.current().leftovers()).length > 0)
      await suite.store().put(key, Buffer.from('quick'))
      gate.abort()
      expect(await failure).toMatchObject(FAILED)
      expect(await textOf((await suite.store().get(key)).body)).toBe('quick')
      expect(await suite.current().leftovers()).toEqual([])
    })

    test.each([1, LARGE_BYTES])('of many ifAbsent at once exactly one wins (%d bytes)', async sizeBytes => {
      const key = suite.key()
      const writers = sizeBytes === 1 ? 24 : 4
      const puts = Array.from({ length: writers }, (_, i) =>
        suite.store().put(key, patternStream(sizeBytes + i), { ifAbsent: true }),
      )
      const won = await winners(suite, puts)
      const { etag, sizeBytes: wonBytes } = (await suite.store().head(key)) ?? {}
      // A server that lets several win may keep the bytes of one with the metadata of another.
      const kept = won.length === 1 ? { etag, sizeBytes: wonBytes } : { etag }
      expect(won).toContainEqual(expect.objectContaining(kept))
      expect(await suite.current().leftovers()).toEqual([])
    })

    test('of many ifMatch at once exactly one wins', async () => {
      const key = suite.key()
      let { etag } = await suite.store().put(key, Buffer.from('begin'))
      for (let round = 0; round < 5; round++) {
        const puts = Array.from({ length: 12 }, (_, i) =>
          suite.store().put(key, Buffer.from(`${round} ${i}`), { ifMatch: etag }),
        )
        const won = await winners(suite, puts)
        etag = (await suite.store().head(key))?.etag ?? ''
        expect(won).toContainEqual(expect.objectContaining({ etag }))
      }
    })
  })
}

async function* bytesAround(gate: Promise<unknown>): AsyncGenerator<Buffer> {
  yield* patternStream(LARGE_BYTES)
  await gate
  yield Buffer.from('the end')
}

/** Those that resolved: one, where the server decides races; the others failed by their condition. */
async function winners(suite: Suite, puts: Promise<ObjectInfo>[]): Promise<ObjectInfo[]> {
  const settled = await Promise.allSettled(puts)
  const won = settled.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
  const failures = settled.flatMap(one => (one.status === 'rejected' ? [one.reason as unknown] : []))
  expect(failures).toEqual(failures.map(() => expect.objectContaining(FAILED)))
  expect(won.length).toBeGreaterThanOrEqual(1)
  expect(won.length).toBeLessThanOrEqual(suite.current().decidesRaces ? 1 : puts.length)
  return won
}
