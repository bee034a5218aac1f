import { describe, expect, test } from '@jest/globals'
import { patternBytes, patternStream, textOf } from './bodies.ts'
import type { Suite } from './store-under-test.ts'

export function objectTests(suite: Suite): void {
  describe('objects', () => {
    test('come back as they were put', async () => {
      const key = suite.key()
      const put = await suite.store().put(key, Buffer.from('hello'), { contentType: 'text/plain; charset=utf-8' })
      const { info, body } = await suite.store().get(key)
      expect(await textOf(body)).toBe('hello')
      expect(put).toMatchObject({ key, sizeBytes: 5, contentType: 'text/plain; charset=utf-8' })
      expect(info).toMatchObject({ key, sizeBytes: 5, contentType: 'text/plain; charset=utf-8', etag: put.etag })
      expect(await suite.store().head(key)).toEqual(info)
      expect(Math.abs(info.modifiedAt.getTime() - Date.now())).toBeLessThan(10 * 60_000)
      expect(Math.abs(info.modifiedAt.getTime() - put.modifiedAt.getTime())).toBeLessThan(60_000)
    })

    test('have a content type, told or not', async () => {
      const key = suite.key()
      await suite.store().put(key, Buffer.from('x'))
      expect(await suite.store().head(key)).toMatchObject({ contentType: 'application/octet-stream' })
    })

    test('can be empty', async () => {
      for (const body of [Buffer.alloc(0), patternStream(0)]) {
        const key = suite.key()
        await suite.store().put(key, body)
        const reading = await suite.store().get(key)
        expect(reading.info.sizeBytes).toBe(0)
        expect(await textOf(reading.body)).toBe('')
        await expect(suite.store().get(key, { range: { start: 0 } })).rejects.toMatchObject({
          code: 'RangeNotSatisfiable',
        })
      }
    })

    test('are replaced whole, with a new etag, while a reader keeps the old one', async () => {
      const key = suite.key()
      const old = patternBytes(3_000_000)
      const first = await suite.store().put(key, old, { contentType: 'text/old' })
      const reading = await suite.store().get(key)
      const second = await suite.store().put(key, Buffer.from('new'), { contentType: 'text/new' })
      expect(second.etag).not.toBe(first.etag)
      expect(Buffer.concat(await reading.body.toArray()).equals(old)).toBe(true)
      expect(await suite.store().head(key)).toMatchObject({ etag: second.etag, contentType: 'text/new', sizeBytes: 3 })
    })

    test('of the same size have different etags', async () => {
      const key = suite.key()
      const etags = []
      for (const text of ['abc', 'abd', 'abc']) etags.push((await suite.store().put(key, Buffer.from(text))).etag)
      expect(new Set(etags).size).toBeGreaterThanOrEqual(2)
      expect(etags[0]).not.toBe(etags[1])
      expect(etags[1]).not.toBe(etags[2])
    })

    test('are gone once deleted, and deleting again is no error', async () => {
      const key = suite.key()
      await suite.store().put(key, Buffer.from('x'))
      await suite.store().delete(key)
      await suite.store().delete(key)
      expect(await suite.store().head(key)).toBeUndefined()
      await expect(suite.store().get(key)).rejects.toMatchObject({ code: 'ObjectNotFound' })
    })

    test.each([
      [{ start: 0, end: 0 }, '0'],
      [{ start: 2, end: 4 }, '234'],
      [{ start: 7 }, '789'],
      [{ start: 9 }, '9'],
      [{ start: 0, end: 9 }, '0123456789'],
      [{ start: 8, end: 1000 }, '89'],
    ])('give the range %j', async (range, expected) => {
      const key = suite.key()
      await suite.store().put(key, Buffer.from('0123456789'))
      const { info, body } = await suite.store().get(key, { range })
      expect(await textOf(body)).toBe(expected)
      expect(info.sizeBytes).toBe(10)
    })

    test.each([
      { start: 10 },
      { start: 10, end: 12 },
      { start: 1000 },
      { start: 5, end: 4 },
      { start: -1 },
      { start: 1.5 },
      { start: Number.NaN },
      { start: 0, end: Number.POSITIVE_INFINITY },
    ])('have no range %j', async range => {
      const key = suite.key()
      await suite.store().put(key, Buffer.from('0123456789'))
      await expect(suite.store().get(key, { range })).rejects.toMatchObject({ code: 'RangeNotSatisfiable' })
    })

    test('are copied with their content type', async () => {
      const [from, to] = [suite.key('from'), suite.key('to')]
      await suite.store().put(from, Buffer.from('text'), { contentType: 'text/x' })
      await suite.store().put(to, Buffer.from('to be replaced'))
      const copied = await suite.store().copy(from, to)
      expect(copied).toMatchObject({ key: to, sizeBytes: 4, contentType: 'text/x' })
      const { info, body } = await suite.store().get(to)
      expect(info).toEqual(copied)
      expect(await textOf(body)).toBe('text')
      expect(await suite.store().head(from)).toMatchObject({ sizeBytes: 4 })
    })

    test('can be copied onto themselves', async () => {
      const key = suite.key()
      const { etag } = await suite.store().put(key, Buffer.from('text'), { contentType: 'text/x' })
      expect(await suite.store().copy(key, key)).toMatchObject({ key, etag, contentType: 'text/x' })
      expect(await textOf((await suite.store().get(key)).body)).toBe('text')
    })

    test('that are not there cannot be read or copied', async () => {
      const key = suite.key()
      await expect(suite.store().get(key)).rejects.toMatchObject({ code: 'ObjectNotFound' })
      await expect(suite.store().copy(key, suite.key())).rejects.toMatchObject({ code: 'ObjectNotFound' })
      await expect(suite.store().copy(key, key)).rejects.toMatchObject({ code: 'ObjectNotFound' })
      expect(await suite.store().head(key)).toBeUndefined()
    })
  })
}
