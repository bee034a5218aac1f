import { Readable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import { until } from '../../support/until.ts'
import { patternStream, textOf } from './bodies.ts'
import type { Suite } from './store-under-test.ts'

const MIB = 1024 * 1024
const SOURCE_FAILED = { message: 'source failed', code: 'ECONNRESET' }

export function failureTests(suite: Suite): void {
  describe('uploads that do not end well', () => {
    test.each([100_000, 20 * MIB])('leave nothing when aborted midway (after %d bytes)', async stallsAt => {
      const key = suite.key()
      const abort = new AbortController()
      const body = patternStream(40 * MIB, { stallsAt })
      const put = suite.store().put(key, body, { signal: abort.signal })
      const failure = put.catch((error: unknown) => error)
      await until(() => body.readableDidRead)
      if (stallsAt > MIB) await until(async () => (await suite.current().leftovers()).length > 0)
      abort.abort(new Error('enough'))
      expect(await failure).toMatchObject({ message: 'enough' })
      await expectNothing(suite, key)
      expect(body.destroyed).toBe(true)
    })

    test('leave nothing when the source fails', async () => {
      for (const failsAt of [0, 100_000, 20 * MIB]) {
        const key = suite.key()
        const put = suite.store().put(key, patternStream(40 * MIB, { failsAt }))
        await expect(put).rejects.toMatchObject(SOURCE_FAILED)
        await expectNothing(suite, key)
      }
    })

    test('leave the object that was there', async () => {
      const key = suite.key()
      await suite.store().put(key, Buffer.from('old'))
      const put = suite.store().put(key, patternStream(40 * MIB, { failsAt: 20 * MIB }))
      await expect(put).rejects.toMatchObject(SOURCE_FAILED)
      expect(await textOf((await suite.store().get(key)).body)).toBe('old')
    })

    test('end at once where the source is a generator that waits', async () => {
      const key = suite.key()
      const never = new Promise<Buffer>(() => undefined)
      const body = Readable.from(
        (async function* () {
          yield Buffer.from('some')
          yield await never
        })(),
      )
      const put = suite.store().put(key, body, { signal: AbortSignal.timeout(50) })
      await expect(put).rejects.toMatchObject({ name: 'TimeoutError' })
      await expectNothing(suite, key)
    })

    test('do not begin where the signal is aborted already', async () => {
      const key = suite.key()
      const signal = AbortSignal.abort(new Error('before'))
      await expect(suite.store().put(key, Buffer.from('x'), { signal })).rejects.toThrow('before')
      await expect(suite.store().put(key, patternStream(10), { signal })).rejects.toThrow('before')
      await expect(suite.store().get(key, { signal })).rejects.toThrow('before')
      await expectNothing(suite, key)
    })

    test('leave no part when the source of a part fails', async () => {
      const key = suite.key()
      const uploadId = await suite.store().createMultipartUpload(key)
      const idle = await suite.current().leftovers()
      const part = suite.store().putPart(key, uploadId, 1, patternStream(9 * MIB, { failsAt: 6 * MIB }))
      await expect(part).rejects.toMatchObject(SOURCE_FAILED)
      expect(await suite.current().leftovers()).toEqual(idle)
      await suite.store().abortMultipartUpload(key, uploadId)
      await expectNothing(suite, key)
    })
  })

  test('an aborted reader fails', async () => {
    const key = suite.key()
    await suite.store().put(key, patternStream(8 * MIB))
    const abort = new AbortController()
    const { body } = await suite.store().get(key, { signal: abort.signal })
    const failure = body.toArray().catch((error: unknown) => error)
    abort.abort()
    expect(await failure).toMatchObject({ name: 'AbortError' })
    expect(body.destroyed).toBe(true)
  })
}

async function expectNothing(suite: Suite, key: string): Promise<void> {
  expect(await suite.current().leftovers()).toEqual([])
  expect(await suite.store().head(key)).toBeUndefined()
}
