import { beforeAll, describe, expect, test } from '@jest/globals'
import type { ListedObject, ListOptions, ObjectStore } from '../../../infra/objects/store.ts'
import type { Suite } from './store-under-test.ts'

const LONG = 'l'.repeat(64)

/** Names whose order differs between bytes, folders, cases and locales, and long ones. */
const SHORT = 'a-b a.b a/b a/b-c a/c/d a0 A B/b b Z z _ ~ ! + % = @/x 007 10 9 a!/x'.split(' ')
const NAMES = [
  SHORT,
  [LONG, `${LONG}-x`, `${LONG}~`, `${LONG}L`, `${LONG}.`, 'l'.repeat(63), 'l'.repeat(65), `${LONG}.d/x`],
  ['Q'.repeat(200), `${'Q'.repeat(199)}/z`],
].flat()
const NESTED = ['a', 'a/b/x', '_/x', `${LONG}/x`, `${LONG}-x/y`, `${'Q'.repeat(200)}/z`]

export function listingTests(suite: Suite): void {
  describe('listing', () => {
    let folder: string
    let sorted: string[]
    beforeAll(async () => {
      folder = suite.key('')
      const names = suite.current().nestsKeys ? [...NAMES, ...NESTED] : NAMES
      sorted = [...new Set(names)].map(name => folder + name).sort(byBytes)
      for (const key of sorted) await suite.store().put(key, Buffer.from(key))
    })

    test('is in byte order', async () => {
      const page = await suite.store().list({ prefix: folder })
      expect(page.objects.map(object => object.key)).toEqual(sorted)
      expect(page.hasMore).toBe(false)
    })

    test('tells what head tells, without the content type', async () => {
      const { objects } = await suite.store().list({ prefix: folder, limit: 3 })
      for (const object of objects) {
        const head = await suite.store().head(object.key)
        const { contentType: _, ...rest } = head ?? { contentType: '' }
        const toTheSecond = (date: Date) => Math.floor(date.getTime() / 1000)
        const listed = { ...object, modifiedAt: toTheSecond(object.modifiedAt) }
        expect(listed).toEqual({ ...rest, modifiedAt: toTheSecond(head?.modifiedAt ?? new Date(0)) })
      }
    })

    test.each([1, 2, 7, 1000])('goes on where the page before ended (pages of %d)', async limit => {
      const objects = await allPages(suite.store(), { prefix: folder, limit })
      expect(objects.map(object => object.key)).toEqual(sorted)
    })

    test('begins after any key, there or not', async () => {
      for (const after of [
        '',
        folder,
        `${folder}a/`,
        `${folder}a/b!`,
        `${folder}a~`,
        `${folder}~~`,
        `${LONG}-`,
        'zzz',
      ]) {
        const { objects } = await suite.store().list({ prefix: folder, after })
        expect(objects.map(object => object.key)).toEqual(sorted.filter(key => key > after))
      }
    })

    test('is of one prefix, which may end within a name', async () => {
      for (const prefix of ['a', 'a/', 'a/b', 'a/c/d', 'A', 'l', LONG, `${LONG}-`, 'Q', 'nothing', 'a//', '../', 'ä']) {
        const { objects } = await suite.store().list({ prefix: folder + prefix })
        expect(objects.map(object => object.key)).toEqual(sorted.filter(key => key.startsWith(folder + prefix)))
      }
    })

    test('knows whether there is more', async () => {
      const all = sorted.length
      for (const [limit, hasMore] of [
        [all - 1, true],
        [all, false],
        [all + 1, false],
      ] as const) {
        expect(await suite.store().list({ prefix: folder, limit })).toMatchObject({ hasMore })
      }
    })

    test('gives as many as are asked for, also above the 1,000 that S3 gives at once', async () => {
      const many = suite.key('')
      const keys = Array.from({ length: 1_010 }, (_, i) => `${many}${String(i).padStart(4, '0')}`)
      const writers = Array.from({ length: 8 }, async (_, first) => {
        for (let i = first; i < keys.length; i += 8) await suite.store().put(keys[i] ?? '', Buffer.from('x'))
      })
      await Promise.all(writers)
      const page = await suite.store().list({ prefix: many, limit: 1_005 })
      expect(page.objects.map(object => object.key)).toEqual(keys.slice(0, 1_005))
      expect(page.hasMore).toBe(true)
      expect((await suite.store().list({ prefix: many })).objects).toHaveLength(1_000)
    })

    test('of nothing is empty', async () => {
      expect(await suite.store().list({ prefix: suite.key('none/') })).toEqual({ objects: [], hasMore: false })
    })

    test('forgets what was deleted', async () => {
      const key = suite.key('x/y/z')
      const prefix = key.slice(0, -'x/y/z'.length)
      await suite.store().put(key, Buffer.from('1'))
      await suite.store().put(`${prefix}x/w`, Buffer.from('2'))
      await suite.store().delete(key)
      const { objects } = await suite.store().list({ prefix })
      expect(objects.map(object => object.key)).toEqual([`${prefix}x/w`])
    })
  })
}

async function allPages(store: ObjectStore, options: ListOptions): Promise<ListedObject[]> {
  const found: ListedObject[] = []
  for (let hasMore = true; hasMore;) {
    const after = found.at(-1)?.key
    const page = await store.list(after === undefined ? options : { ...options, after })
    found.push(...page.objects)
    hasMore = page.hasMore
  }
  return found
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
