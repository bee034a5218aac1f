import { createHash, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { FileLocks } from '../../../infra/objects/file-lock.ts'
import { placeFile, removeEmptyFolders } from '../../../infra/objects/file-publish.ts'
import { FileSystemObjectStore } from '../../../infra/objects/file-system.ts'
import { patternStream, textOf } from './bodies.ts'

const DAY_MS = 24 * 60 * 60 * 1000

let outside: string
let root: string
beforeEach(async () => {
  outside = await mkdtemp(join(tmpdir(), 'ipop-objects-'))
  root = join(outside, 'root')
})
afterEach(() => rm(outside, { recursive: true }))

/** Two of them on one root are as far apart as two processes: they share files alone. */
const openStore = () => new FileSystemObjectStore(root)

describe('the folder of an object store', () => {
  test('holds keys under names that differ also where case is ignored, and are short enough', async () => {
    const store = openStore()
    const keys = [
      'a',
      'A',
      'aB',
      'Ab',
      'A/b',
      'a/B',
      '.A',
      '..a',
      '%41',
      '=a',
      'CON',
      '~',
      '+',
      `${'Z'.repeat(500)}/${'%'.repeat(500)}`,
    ]
    for (const key of keys) await store.put(key, Buffer.from(key))
    const paths = await pathsIn(join(root, 'objects'))
    expect(new Set(paths.map(path => path.toLowerCase())).size).toBe(keys.length)
    const names = paths.flatMap(path => path.split('/'))
    expect(Math.max(...names.map(name => name.length))).toBeLessThanOrEqual(255)
    expect(names.filter(name => name.startsWith('.'))).toEqual([])
    for (const key of keys) expect(await textOf((await store.get(key)).body)).toBe(key)
  })

  test('is all that a store writes to', async () => {
    const store = openStore()
    for (const key of ['../evil', '/tmp/evil', 'a/../../evil', '..', 'a\0b']) {
      await expect(store.put(key, Buffer.from('x'))).rejects.toMatchObject({ code: 'InvalidObjectKey' })
      await expect(store.get(key)).rejects.toMatchObject({ code: 'InvalidObjectKey' })
    }
    await writeFile(join(outside, 'secret'), 'secret')
    for (const uploadId of ['..', '../..', '../../secret']) {
      await expect(store.putPart('a', uploadId, 1, Buffer.from('x'))).rejects.toMatchObject({ code: 'UploadNotFound' })
      await store.abortMultipartUpload('a', uploadId)
    }
    expect((await store.list({ prefix: '../' })).objects).toEqual([])
    await store.put('a', Buffer.from('x'))
    expect((await readdir(outside)).sort()).toEqual(['root', 'secret'])
  })

  test('is empty again once everything is deleted', async () => {
    const store = openStore()
    const keys = ['a', 'a/b', `x/${'y'.repeat(300)}/z`]
    for (const key of keys) await store.put(key, Buffer.from('x'))
    for (const key of keys) await store.delete(key)
    expect(await readdir(join(root, 'objects'))).toEqual([])
  })

  test('may hold what is none of the store’s', async () => {
    const store = openStore()
    await store.put('a/b', Buffer.from('x'))
    await writeFile(join(root, 'objects', '.DS_Store'), '')
    await mkdir(join(root, 'objects', 'a+', 'Foreign'))
    expect((await store.list({ prefix: '' })).objects.map(object => object.key)).toEqual(['a/b'])
  })

  test('is read by its owner alone', async () => {
    await openStore().put('a', Buffer.from('x'))
    for (const path of ['objects', 'temporary', 'uploads', 'locks']) {
      expect((await stat(join(root, path))).mode & 0o077).toBe(0)
    }
    expect((await stat(join(root, 'objects', 'a'))).mode & 0o077).toBe(0)
  })

  test('that cannot be made is what check complains of', async () => {
    await writeFile(root, 'a file')
    await expect(openStore().check()).rejects.toThrow(/ENOTDIR|EEXIST/)
  })
})

describe('deleting and writing in one folder at once', () => {
  test('loses nothing', async () => {
    const store = openStore()
    const other = openStore()
    for (let round = 0; round < 30; round++) {
      const writes = Array.from({ length: 4 }, (_, i) => store.put(`f/g/${i}`, Buffer.from('x')))
      await Promise.all([...writes, other.delete('f/g/old'), other.delete('f/g/older')])
      expect((await store.list({ prefix: 'f/' })).objects).toHaveLength(4)
      await Promise.all([0, 1, 2, 3].map(i => other.delete(`f/g/${i}`)))
    }
  })
})

describe('putting a file in its place', () => {
  test('makes the folder again where a delete removed it in between', async () => {
    const [from, to] = [join(outside, 'from'), join(root, 'a', 'b', 'to')]
    await writeFile(from, 'x')
    let calls = 0
    await placeFile(from, to, async (source, target) => {
      if (++calls === 1) await removeEmptyFolders(join(root, 'a', 'b'), root)
      await rename(source, target)
    })
    expect(calls).toBe(2)
    expect(await readFile(to, 'utf8')).toBe('x')
  })

  test('makes it again however often deletes remove it meanwhile', async () => {
    const folder = join(root, 'a', 'b')
    let placing = true
    const deletes = [0, 1].map(async () => {
      while (placing) await removeEmptyFolders(folder, root)
    })
    const places = [0, 1, 2, 3].map(async place => {
      const [from, to] = [join(outside, `from${place}`), join(folder, `to${place}`)]
      for (let round = 0; round < 100; round++) {
        await writeFile(from, String(round))
        await placeFile(from, to, rename)
        expect(await readFile(to, 'utf8')).toBe(String(round))
        await unlink(to)
      }
    })
    await Promise.all(places).finally(() => (placing = false))
    await Promise.all(deletes)
  })

  test('gives up on what never gets there', async () => {
    const call = placeFile(join(outside, 'nothing'), join(root, 'to'), rename)
    await expect(call).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('two processes on one folder', () => {
  test('of their ifAbsent puts one wins even where no lock holds', async () => {
    const lock = jest.spyOn(FileLocks.prototype, 'withLock')
    lock.mockImplementation((_name, action) => action(() => Promise.resolve()))
    try {
      const puts = Array.from({ length: 24 }, (_, i) => openStore().put('key', Buffer.from(`${i}`), { ifAbsent: true }))
      const settled = await Promise.allSettled(puts)
      expect(settled.filter(put => put.status === 'fulfilled')).toHaveLength(1)
    } finally {
      lock.mockRestore()
    }
  })

  test('of their ifMatch and ifAbsent puts one wins', async () => {
    const stores = Array.from({ length: 6 }, openStore)
    let etag: string | undefined
    for (let round = 0; round < 10; round++) {
      const condition = etag === undefined ? { ifAbsent: true } : { ifMatch: etag }
      const puts = stores.map((store, i) => store.put('key', Buffer.from(`${round} ${i}`), condition))
      const won = (await Promise.allSettled(puts)).flatMap(put => (put.status === 'fulfilled' ? [put.value] : []))
      expect(won).toHaveLength(1)
      etag = won[0]?.etag
      expect(await stores[0]?.head('key')).toMatchObject({ etag })
    }
    expect(await readdir(join(root, 'locks'))).toEqual([])
  })

  test('never hold one lock together', async () => {
    await mkdir(root)
    let holders = 0
    let most = 0
    const turn = async () => {
      most = Math.max(most, (holders += 1))
      await readdir(root)
      holders -= 1
    }
    const locks = Array.from({ length: 8 }, () => new FileLocks(root))
    await Promise.all(locks.flatMap(one => [1, 2, 3].map(() => one.withLock('name', turn))))
    expect(most).toBe(1)
    expect(await readdir(root)).toEqual([])
  })

  test('one goes on after the other died with the lock in its hand', async () => {
    const store = openStore()
    const { etag } = await store.put('key', Buffer.from('old'))
    const path = join(root, 'locks', createHash('sha256').update('key').digest('hex'))
    await writeFile(path, 'of a dead process')
    await age(path, 11_000)
    await store.put('key', Buffer.from('new'), { ifMatch: etag })
    expect(await readdir(join(root, 'locks'))).toEqual([])
  })

  test('a holder whose lock was taken over does not write', async () => {
    await mkdir(root)
    const locks = new FileLocks(root)
    const held = locks.withLock('name', async assertHeld => {
      const [name = ''] = await readdir(root)
      await writeFile(join(root, name), 'of another process')
      await assertHeld()
    })
    await expect(held).rejects.toMatchObject({ code: 'Unavailable' })
    expect(await readdir(root)).toHaveLength(1)
  })
})

describe('removeLeftovers', () => {
  test('removes what is a day old, and nothing else', async () => {
    const store = openStore()
    await store.put('object', Buffer.from('x'))
    const dead = await store.createMultipartUpload('dead')
    await store.putPart('dead', dead, 1, patternStream(100_000))
    const live = await store.createMultipartUpload('live')
    const names = { old: randomUUID(), fresh: randomUUID() }
    for (const name of Object.values(names)) {
      await writeFile(join(root, 'temporary', name), 'part of an object')
      await writeFile(join(root, 'locks', name), '')
    }
    const old = [
      join('uploads', dead),
      join('temporary', names.old),
      join('locks', names.old),
      join('objects', 'object'),
    ]
    for (const path of old) await age(join(root, path), DAY_MS + 60_000)

    expect(await store.removeLeftovers()).toBe(3)
    expect(await readdir(join(root, 'uploads'))).toEqual([live])
    expect(await readdir(join(root, 'temporary'))).toEqual([names.fresh])
    expect(await readdir(join(root, 'locks'))).toEqual([names.fresh])
    expect(await store.head('object')).toMatchObject({ sizeBytes: 1 })
    expect(await store.removeLeftovers()).toBe(0)
  })
})

test('a folder is no server: it gives no links to itself', async () => {
  const link = (expiresInSeconds: number) => openStore().signedUrl('a/b', { method: 'GET', expiresInSeconds })
  expect(await link(60)).toBeUndefined()
  await expect(link(0)).rejects.toBeInstanceOf(RangeError)
})

async function age(path: string, ageMs: number): Promise<void> {
  const then = new Date(Date.now() - ageMs)
  await utimes(path, then, then)
}

async function pathsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
}
