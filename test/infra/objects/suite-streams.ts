import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from '@jest/globals'
import { until } from '../../support/until.ts'
import { memoryHeldBy, patternStream, repeatedStream, sha256Of } from './bodies.ts'
import type { Suite } from './store-under-test.ts'

const MIB = 1024 * 1024

/** Takes a chunk a turn of the loop. */
const slowSink = (onChunk: () => void) =>
  new Writable({
    write: (_chunk, _encoding, done) => {
      onChunk()
      setImmediate(done)
    },
  })

/** A slow disk takes minutes for what a fast one does in seconds: this is for a hang alone. */
const HANG_MS = 600_000

export function streamTests(suite: Suite): void {
  describe('large objects', () => {
    test(
      'of 64 MiB come back as they were, whole and in ranges',
      async () => {
        const key = suite.key()
        const info = await suite.store().put(key, patternStream(64 * MIB))
        expect(info.sizeBytes).toBe(64 * MIB)
        expect(await suite.store().head(key)).toMatchObject({ etag: info.etag, sizeBytes: 64 * MIB })
        expect(await sha256Of((await suite.store().get(key)).body)).toBe(await sha256Of(patternStream(64 * MIB)))
        const { body } = await suite.store().get(key, { range: { start: 40 * MIB, end: 40 * MIB + 3 } })
        expect(Buffer.concat(await body.toArray()).readUInt32BE()).toBe((40 * MIB) / 65_536)
      },
      HANG_MS,
    )

    test(
      'of 200 MiB go in and out with 64 MiB of memory',
      async () => {
        const key = suite.key()
        const put = await memoryHeldBy(look => suite.store().put(key, repeatedStream(200 * MIB, look)))
        const get = await memoryHeldBy(async look => {
          const { body } = await suite.store().get(key)
          await pipeline(body, slowSink(look))
        })
        expect(put / MIB).toBeLessThan(64)
        expect(get / MIB).toBeLessThan(64)
      },
      HANG_MS,
    )

    test(
      'a part of 100 MiB takes no more memory either',
      async () => {
        const key = suite.key()
        const uploadId = await suite.store().createMultipartUpload(key)
        const grown = await memoryHeldBy(look =>
          suite.store().putPart(key, uploadId, 1, repeatedStream(100 * MIB, look)),
        )
        await suite.store().abortMultipartUpload(key, uploadId)
        expect(grown / MIB).toBeLessThan(64)
      },
      HANG_MS,
    )

    test('free their handles when a reader stops midway', async () => {
      const key = suite.key()
      await suite.store().put(key, patternStream(8 * MIB))
      const before = await openHandles()
      for (let i = 0; i < 50; i++) {
        const { body } = await suite.store().get(key)
        await once(body, 'readable')
        body.destroy()
      }
      expect(await handlesFallTo(before + 5)).toBe(true)
    })

    test('free their handles when the source of a part fails', async () => {
      const key = suite.key()
      const uploadId = await suite.store().createMultipartUpload(key)
      const before = await openHandles()
      for (let i = 0; i < 30; i++) {
        const part = suite.store().putPart(key, uploadId, 1, patternStream(MIB, { failsAt: 65_536 }))
        await expect(part).rejects.toMatchObject({ message: 'source failed' })
      }
      expect(await openHandles()).toBeLessThanOrEqual(before + 5)
      await suite.store().abortMultipartUpload(key, uploadId)
    })

    test('free their handles when they are refused, or only looked at', async () => {
      const key = suite.key()
      await suite.store().put(key, Buffer.from('x'))
      const before = await openHandles()
      for (let i = 0; i < 50; i++) {
        await expect(suite.store().get(key, { range: { start: 5 } })).rejects.toMatchObject({
          code: 'RangeNotSatisfiable',
        })
        await suite.store().head(key)
        await suite.store().list({ prefix: key })
      }
      expect(await openHandles()).toBeLessThanOrEqual(before + 5)
    })
  })
}

async function handlesFallTo(count: number): Promise<boolean> {
  await until(async () => (await openHandles()) <= count)
  return true
}

/** Files and sockets that this process holds open. */
async function openHandles(): Promise<number> {
  return (await readdir('/dev/fd')).length
}
