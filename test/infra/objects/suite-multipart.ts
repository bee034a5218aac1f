import { describe, expect, test } from '@jest/globals'
import { bytesOf, patternBytes, patternStream, textOf } from './bodies.ts'
import type { Suite } from './store-under-test.ts'

const PART_BYTES = 5 * 1024 * 1024
const NO_UPLOAD = { name: 'ObjectStoreError', code: 'UploadNotFound' }
const BAD_PART = { name: 'ObjectStoreError', code: 'InvalidPart' }

export function multipartTests(suite: Suite): void {
  describe('multipart uploads', () => {
    test('join their parts, a replaced one among them', async () => {
      const key = suite.key()
      const store = suite.store()
      const uploadId = await store.createMultipartUpload(key, 'text/parts')
      const third = await store.putPart(key, uploadId, 30, Buffer.from('the end'))
      const replaced = await store.putPart(key, uploadId, 2, Buffer.from('to be replaced'))
      const first = await store.putPart(key, uploadId, 1, patternStream(PART_BYTES + 1))
      const second = await store.putPart(key, uploadId, 2, patternStream(PART_BYTES))
      expect(first).toMatchObject({ partNumber: 1, sizeBytes: PART_BYTES + 1 })
      expect(second.etag).not.toBe(replaced.etag)
      expect(await store.head(key)).toBeUndefined()

      const done = await store.completeMultipartUpload(key, uploadId, [first, second, third])
      const { info, body } = await store.get(key)
      const expected = [patternBytes(PART_BYTES + 1), patternBytes(PART_BYTES), Buffer.from('the end')]
      expect((await bytesOf(body)).equals(Buffer.concat(expected))).toBe(true)
      expect(info).toEqual(done)
      expect(done).toMatchObject({ key, sizeBytes: 2 * PART_BYTES + 8, contentType: 'text/parts' })
      expect(await suite.current().leftovers()).toEqual([])
    })

    test('leave out parts that are not named', async () => {
      const key = suite.key()
      const uploadId = await suite.store().createMultipartUpload(key)
      await suite.store().putPart(key, uploadId, 1, Buffer.from('no'))
      const second = await suite.store().putPart(key, uploadId, 2, Buffer.from('yes'))
      await suite.store().completeMultipartUpload(key, uploadId, [second])
      expect(await textOf((await suite.store().get(key)).body)).toBe('yes')
    })

    test('refuse parts that are wrong, and go on', async () => {
      const key = suite.key()
      const store = suite.store()
      const uploadId = await store.createMultipartUpload(key)
      const small = await store.putPart(key, uploadId, 1, Buffer.from('small'))
      const last = await store.putPart(key, uploadId, 2, Buffer.from('last'))
      const wrong = [
        [],
        [{ partNumber: 1, etag: last.etag }],
        [{ partNumber: 1, etag: 'nonsense' }],
        [small, { partNumber: 3, etag: last.etag }],
        [last, small],
        [small, small],
        [small, last],
        [{ partNumber: 0, etag: small.etag }],
      ]
      for (const parts of wrong) {
        await expect(store.completeMultipartUpload(key, uploadId, parts)).rejects.toMatchObject(BAD_PART)
      }
      expect(await store.head(key)).toBeUndefined()
      await store.completeMultipartUpload(key, uploadId, [last])
      expect(await textOf((await store.get(key)).body)).toBe('last')
    })

    test.each([0, -1, 1.5, 10_001])('have no part %p', async partNumber => {
      const key = suite.key()
      const uploadId = await suite.store().createMultipartUpload(key)
      const part = suite.store().putPart(key, uploadId, partNumber, Buffer.from('x'))
      await expect(part).rejects.toMatchObject(BAD_PART)
      await suite.store().abortMultipartUpload(key, uploadId)
    })

    test('are gone once aborted', async () => {
      const key = suite.key()
      const store = suite.store()
      const uploadId = await store.createMultipartUpload(key)
      const part = await store.putPart(key, uploadId, 1, Buffer.from('x'))
      await store.abortMultipartUpload(key, uploadId)
      await store.abortMultipartUpload(key, uploadId)
      await expect(store.putPart(key, uploadId, 1, Buffer.from('x'))).rejects.toMatchObject(NO_UPLOAD)
      await expect(store.completeMultipartUpload(key, uploadId, [part])).rejects.toMatchObject(NO_UPLOAD)
      expect(await suite.current().leftovers()).toEqual([])
    })

    // Completing once more may succeed, as on S3.
    test('are gone once completed', async () => {
      const key = suite.key()
      const store = suite.store()
      const uploadId = await store.createMultipartUpload(key)
      await store.completeMultipartUpload(key, uploadId, [await store.putPart(key, uploadId, 1, Buffer.from('x'))])
      await expect(store.putPart(key, uploadId, 1, Buffer.from('y'))).rejects.toMatchObject(NO_UPLOAD)
      await store.abortMultipartUpload(key, uploadId)
      expect(await textOf((await store.get(key)).body)).toBe('x')
      expect(await suite.current().leftovers()).toEqual([])
    })

    test.each(['nonsense', '../../objects', '00000000-0000-4000-8000-000000000000', 'a+b&c=d', ''])(
      'that were never begun are not there: %j',
      async uploadId => {
        const key = suite.key()
        const part = { partNumber: 1, etag: '0'.repeat(32) }
        await expect(suite.store().putPart(key, uploadId, 1, Buffer.from('x'))).rejects.toMatchObject(NO_UPLOAD)
        await expect(suite.store().completeMultipartUpload(key, uploadId, [part])).rejects.toMatchObject(NO_UPLOAD)
        await suite.store().abortMultipartUpload(key, uploadId)
      },
    )

    test('belong to their key', async () => {
      const [key, other] = [suite.key(), suite.key()]
      const uploadId = await suite.store().createMultipartUpload(key)
      const part = await suite.store().putPart(key, uploadId, 1, Buffer.from('x'))
      await expect(suite.store().putPart(other, uploadId, 1, Buffer.from('x'))).rejects.toMatchObject(NO_UPLOAD)
      await expect(suite.store().completeMultipartUpload(other, uploadId, [part])).rejects.toMatchObject(NO_UPLOAD)
      await suite.store().abortMultipartUpload(other, uploadId)
      await suite.store().completeMultipartUpload(key, uploadId, [part])
    })

    test('are one thing only when completed twice at once', async () => {
      const key = suite.key()
      const uploadId = await suite.store().createMultipartUpload(key)
      const part = await suite.store().putPart(key, uploadId, 1, Buffer.from('x'))
      const both = [1, 2].map(() => suite.store().completeMultipartUpload(key, uploadId, [part]))
      const settled = await Promise.allSettled(both)
      expect(settled.some(one => one.status === 'fulfilled')).toBe(true)
      expect(await textOf((await suite.store().get(key)).body)).toBe('x')
      expect(await suite.current().leftovers()).toEqual([])
    })

    test('that are fresh are no leftovers', async () => {
      const key = suite.key()
      const uploadId = await suite.store().createMultipartUpload(key)
      expect(await suite.store().removeLeftovers()).toBe(0)
      const part = await suite.store().putPart(key, uploadId, 1, Buffer.from('x'))
      await suite.store().completeMultipartUpload(key, uploadId, [part])
    })
  })
}
