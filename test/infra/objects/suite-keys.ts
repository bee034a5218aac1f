import { describe, expect, test } from '@jest/globals'
import { requireObjectKey } from '../../../infra/objects/store.ts'
import { textOf } from './bodies.ts'
import type { Suite } from './store-under-test.ts'

export function keyTests(suite: Suite): void {
  describe('keys', () => {
    test('that differ by case are different', async () => {
      const [small, large] = [suite.key('name'), suite.key('x').replace(/x$/, 'NAME')]
      const folder = suite.key('')
      await suite.store().put(small, Buffer.from('small'))
      await suite.store().put(`${folder}a`, Buffer.from('a'))
      await suite.store().put(`${folder}A`, Buffer.from('A'))
      expect(await suite.store().head(large)).toBeUndefined()
      expect(await textOf((await suite.store().get(`${folder}a`)).body)).toBe('a')
      expect(await textOf((await suite.store().get(`${folder}A`)).body)).toBe('A')
    })

    test('can lie within each other where the server can', async () => {
      if (!suite.current().nestsKeys) return
      const key = suite.key()
      await suite.store().put(`${key}/b/c`, Buffer.from('c'))
      await suite.store().put(key, Buffer.from('a'))
      await suite.store().put(`${key}/b`, Buffer.from('b'))
      const texts = []
      for (const one of [key, `${key}/b`, `${key}/b/c`]) texts.push(await textOf((await suite.store().get(one)).body))
      expect(texts).toEqual(['a', 'b', 'c'])
      await suite.store().delete(key)
      await suite.store().delete(`${key}/b`)
      expect(await suite.store().head(`${key}/b/c`)).toMatchObject({ sizeBytes: 1 })
    })

    const odd = [
      '..a',
      '...',
      '.hidden',
      '~',
      '%2e%2e',
      '%',
      '+',
      'a+b',
      'q\'"',
      '?x=1&y#z',
      '\\..\\x',
      'con',
      '<&>;',
      '007',
      '1e3',
      'true',
    ]
    test.each(odd)('can be odd: %s', async name => {
      const key = suite.key(name)
      const folder = key.slice(0, -name.length)
      await suite.store().put(key, Buffer.from(name))
      expect(await textOf((await suite.store().get(key)).body)).toBe(name)
      expect((await suite.store().list({ prefix: folder })).objects.map(object => object.key)).toEqual([key])
      await suite.store().copy(key, `${folder}copy`)
      expect(await suite.store().head(`${folder}copy`)).toMatchObject({ sizeBytes: name.length })
    })

    const hostile = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      '../a',
      'a/../b',
      'a/./b',
      'a/..',
      'a b',
      'a\0b',
      'a\nb',
      'ä',
      '\u{1f600}',
      'a'.repeat(1025),
    ]
    test.each(hostile)('that break the rules are refused: %j', async key => {
      const store = suite.store()
      const calls = [
        () => store.put(key, Buffer.from('x')),
        () => store.get(key),
        () => store.head(key),
        () => store.delete(key),
        () => store.copy(key, 'a'),
        () => store.copy('a', key),
        () => store.createMultipartUpload(key),
        () => store.putPart(key, 'x', 1, Buffer.from('x')),
        () => store.completeMultipartUpload(key, 'x', [{ partNumber: 1, etag: 'x' }]),
        () => store.abortMultipartUpload(key, 'x'),
        () => store.signedUrl(key, { method: 'GET', expiresInSeconds: 60 }),
      ]
      expect(() => requireObjectKey(key)).toThrow(expect.objectContaining({ code: 'InvalidObjectKey' }))
      for (const call of calls) {
        await expect(call()).rejects.toMatchObject({ name: 'ObjectStoreError', code: 'InvalidObjectKey' })
      }
    })

    test.each(['', 'a\nb', 'ä', 'x'.repeat(256)])('have no content type like %j', async contentType => {
      const refused = { code: 'InvalidContentType' }
      await expect(suite.store().put(suite.key(), Buffer.from('x'), { contentType })).rejects.toMatchObject(refused)
      await expect(suite.store().createMultipartUpload(suite.key(), contentType)).rejects.toMatchObject(refused)
    })
  })
}
