import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inFreshFolder } from '../../../../infra/child/folder.ts'

let base: string
beforeEach(async () => {
  base = join(await mkdtemp(join(tmpdir(), 'ipop-folders-')), 'children')
})
afterEach(() => rm(join(base, '..'), { recursive: true, force: true }))

test('a folder is empty, its own, only its user may enter it, and it is gone after', async () => {
  const folders = await Promise.all(
    Array.from({ length: 3 }, () =>
      inFreshFolder(base, async folder => {
        expect(await readdir(folder)).toEqual([])
        expect((await stat(folder)).mode & 0o777).toBe(0o700)
        await mkdir(join(folder, 'deep', 'er'), { recursive: true })
        await writeFile(join(folder, 'deep', 'er', 'file'), 'x')
        await chmod(join(folder, 'deep'), 0o000)
        return folder
      }),
    ),
  )
  expect(new Set(folders).size).toBe(3)
  expect(await readdir(base)).toEqual([])
})

test('what a link in it points to stays', async () => {
  const kept = join(base, '..', 'kept')
  await mkdir(kept)
  await writeFile(join(kept, 'file'), 'x')
  await inFreshFolder(base, folder => symlink(kept, join(folder, 'link')))
  expect(await readdir(kept)).toEqual(['file'])
})

test('it is gone after a failure too, which is told', async () => {
  const failing = inFreshFolder(base, () => Promise.reject(new Error('broken')))
  await expect(failing).rejects.toThrow('broken')
  expect(await readdir(base)).toEqual([])
})

test('what a killed process left a day ago is removed, and nothing else', async () => {
  const dayAgo = new Date(Date.now() - 25 * 60 * 60 * 1000)
  for (const name of ['child-old', 'child-fresh', 'other']) await mkdir(join(base, name), { recursive: true })
  for (const name of ['child-old', 'other']) await utimes(join(base, name), dayAgo, dayAgo)
  await inFreshFolder(base, async () => undefined)
  expect(new Set(await readdir(base))).toEqual(new Set(['child-fresh', 'other']))
})
