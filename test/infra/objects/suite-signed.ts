import { describe, expect, test } from '@jest/globals'
import type { SignedUrlOptions } from '../../../infra/objects/store.ts'
import type { Suite } from './store-under-test.ts'

/** Of a store that is a server. */
export function signedUrlTests(suite: Suite): void {
  const linksTo = () => {
    const { store, callSigned } = suite.current()
    if (callSigned === undefined) throw new Error('the store is no server')
    return {
      store,
      callSigned,
      sign: async (key: string, options: SignedUrlOptions) => String(await store.signedUrl(key, options)),
    }
  }

  describe('signed URLs', () => {
    test('read and write without credentials', async () => {
      const key = suite.key("odd+name'%?.txt")
      const { callSigned, sign } = linksTo()
      const write = await sign(key, { method: 'PUT', expiresInSeconds: 60 })
      expect((await callSigned('PUT', write, 'by link')).status).toBe(200)
      const read = await sign(key, { method: 'GET', expiresInSeconds: 60 })
      expect(await callSigned('GET', read)).toEqual({ status: 200, text: 'by link' })
    })

    test('are good for one method and one key', async () => {
      const key = suite.key()
      const { store, callSigned, sign } = linksTo()
      await store.put(key, Buffer.from('x'))
      await store.put(`${key}2`, Buffer.from('y'))
      const url = await sign(key, { method: 'GET', expiresInSeconds: 60 })
      expect((await callSigned('PUT', url, 'evil')).status).toBe(403)
      expect((await callSigned('GET', url.replace(key, `${key}2`))).status).toBe(403)
      expect((await callSigned('GET', url)).text).toBe('x')
    })

    test('expire', async () => {
      const key = suite.key()
      const { store, callSigned, sign } = linksTo()
      await store.put(key, Buffer.from('x'))
      const url = await sign(key, { method: 'GET', expiresInSeconds: 1 })
      const began = Date.now()
      let status = 200
      while (status === 200 && Date.now() - began < 10_000) status = (await callSigned('GET', url)).status
      expect(status).toBe(403)
    })

    test.each([0, -1, 1.5, 604_801, Number.NaN])('cannot live for %p seconds', async expiresInSeconds => {
      const url = suite.store().signedUrl(suite.key(), { method: 'GET', expiresInSeconds })
      await expect(url).rejects.toBeInstanceOf(RangeError)
    })
  })
}
