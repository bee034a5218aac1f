import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findTool, ToolMissing } from '../../../../infra/child/tools.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ipop-tools-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('a tool is the first executable file of its name in PATH', async () => {
  for (const name of ['a', 'b', 'c', 'd']) await mkdir(join(folder, name))
  await mkdir(join(folder, 'a', 'ffmpeg'))
  await writeFile(join(folder, 'b', 'ffmpeg'), '', { mode: 0o644 })
  await writeFile(join(folder, 'c', 'ffmpeg'), '', { mode: 0o755 })
  await writeFile(join(folder, 'd', 'ffmpeg'), '', { mode: 0o755 })
  const path = ['a', 'nowhere', 'b', 'c', 'd'].map(name => join(folder, name)).join(':')
  expect(await findTool('ffmpeg', path)).toBe(join(folder, 'c', 'ffmpeg'))
})

test.each(['', ':', '.', 'bin:./tools'])('is not in %j, and how to install it is told', async path => {
  const error = await findTool('ffmpeg', path).catch((failure: unknown) => failure)
  expect(error).toBeInstanceOf(ToolMissing)
  expect(String(error)).toMatch(/apt-get install ffmpeg.*brew install ffmpeg.*apk add ffmpeg/)
})
