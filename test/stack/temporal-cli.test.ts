import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { findTemporalCli, toolCache } from '../../stack/temporal-cli.ts'
import {
  archiveOf,
  BROKEN_CLI,
  downloadSite,
  fakeGo,
  newFolder,
  program,
  WORKING_CLI,
  type DownloadSite,
} from './fake-tools.ts'

const sites: DownloadSite[] = []
afterEach(() => sites.splice(0).forEach(site => site.close()))

async function site(status: number, body: Buffer | string): Promise<DownloadSite> {
  const made = await downloadSite(status, body)
  sites.push(made)
  return made
}

interface Machine {
  path: string
  cache: string
  said: string[]
  find: (named?: string) => Promise<string>
}

/** A machine with nothing on its PATH and in its cache, and a download site that has no archive unless given. */
async function machine(download?: DownloadSite): Promise<Machine> {
  const path = newFolder()
  const said: string[] = []
  const home = newFolder()
  const { url } = download ?? (await site(404, ''))
  const find = (named = '') => {
    const env = { PATH: path, XDG_CACHE_HOME: home, TEMPORAL_CLI_PATH: named }
    return findTemporalCli({
      env,
      printLine: line => said.push(line),
      signal: new AbortController().signal,
      downloadUrl: url,
    })
  }
  return { path, cache: toolCache({ XDG_CACHE_HOME: home }), said, find }
}

describe('the Temporal CLI', () => {
  test('TEMPORAL_CLI_PATH before PATH before the cache folder', async () => {
    const { path, cache, find } = await machine()
    const cached = program(cache, 'temporal', WORKING_CLI)
    expect(await find()).toBe(cached)
    const onPath = program(path, 'temporal', WORKING_CLI)
    expect(await find()).toBe(onPath)
    const named = program(newFolder(), 'my-temporal', WORKING_CLI)
    expect(await find(named)).toBe(named)
  })

  test('a named one that does not run is an error, one on PATH is passed over', async () => {
    const { path, cache, find } = await machine()
    const broken = program(path, 'temporal', BROKEN_CLI)
    await expect(find(broken)).rejects.toThrow(`TEMPORAL_CLI_PATH is ${broken}`)
    const cached = program(cache, 'temporal', WORKING_CLI)
    expect(await find()).toBe(cached)
  })

  test('the official download fills the cache', async () => {
    const download = await site(200, archiveOf(WORKING_CLI))
    const { cache, said, find } = await machine(download)
    expect(await find()).toBe(join(cache, 'temporal'))
    expect(download.asked[0]).toMatch(/platform=(linux|darwin)&arch=(amd64|arm64)/)
    expect(said[0]).toContain('Downloading')
    await find()
    expect(download.asked).toHaveLength(1)
  })

  test.each([
    ['an archive that is none', () => Buffer.from('no archive')],
    ['a program that does not run', () => archiveOf(BROKEN_CLI)],
  ])('%s is not kept, and Go builds it instead', async (_case, body) => {
    const { path, cache, said, find } = await machine(await site(200, body()))
    program(path, 'go', fakeGo(join(path, 'notes')))
    expect(await find()).toBe(join(cache, 'temporal'))
    expect(said.some(line => line.includes('about 4 minutes'))).toBe(true)
    expect(readdirSync(cache).filter(name => /^(build|download)-/.test(name))).toEqual([])
  })

  test('two at once: one builds, the other waits for it', async () => {
    const { path, find } = await machine()
    const notes = join(path, 'notes')
    program(path, 'go', fakeGo(notes))
    const [first, second] = await Promise.all([find(), find()])
    expect(first).toBe(second)
    expect(readFileSync(notes, 'utf8')).toBe('built\n')
  })

  test('neither a download nor Go: one sentence that says what to do', async () => {
    const { cache, find } = await machine()
    await expect(find()).rejects.toThrow(/no Go to build it.*set TEMPORAL_CLI_PATH, or set TEMPORAL_ADDRESS/)
    expect(existsSync(join(cache, 'temporal'))).toBe(false)
  })

  test('a build that fails says why', async () => {
    const { path, find } = await machine()
    program(path, 'go', '#!/bin/sh\n[ "$1" = version ] && exit 0\necho "go: no disk space" >&2\nexit 1\n')
    await expect(find()).rejects.toThrow('go: no disk space')
  })
})
