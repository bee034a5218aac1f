import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keptContent } from '../../../domain/inference/capture/content.service.ts'
import { THREADS_HERE } from '../../support/threads-here.ts'
import { createThreads, MOST_WAITING, ThreadsBusy, type Threads } from '../../../infra/threads/threads.ts'
import { silent } from '../fixtures.ts'

const TASKS = `
export const echo = input => input
export const spin = ms => { for (const end = Date.now() + ms; Date.now() < end;); return 'done' }
export const forever = () => { for (;;); }
export const fail = () => { throw new Error('as it should') }
export const fill = () => { for (const all = []; ;) all.push(new Array(1e6).fill(Math.random())) }
export const sizeOf = bytes => bytes.byteLength
`

let folder: string
let entry: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ipop-threads-'))
  entry = join(folder, 'tasks.mjs')
  await writeFile(entry, TASKS)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

let threads: Threads
const open = (options: { longestTaskMs?: number; heapMb?: number } = {}) => (threads = createThreads(entry, options))
afterEach(() => threads.stop())

const run = (name: string, input?: unknown, tenant = 'a') => threads.run({ name, tenant, input })

describe('a task', () => {
  test('gives its result, or its own error', async () => {
    open()
    expect(await run('echo', { a: ['é', 1.5, null] })).toEqual({ a: ['é', 1.5, null] })
    await expect(run('fail')).rejects.toThrow('as it should')
  })

  test('takes what is moved without a copy', async () => {
    open()
    const bytes = new ArrayBuffer(8)
    expect(await threads.run({ name: 'sizeOf', tenant: 'a', input: bytes, moved: [bytes] })).toBe(8)
    expect(bytes.byteLength).toBe(0)
  })

  test('that takes too long is ended with its thread, and the next one runs', async () => {
    open({ longestTaskMs: 5_000 })
    await expect(run('forever')).rejects.toBeInstanceOf(ThreadsBusy)
    expect(await run('echo', 1)).toBe(1)
  })

  test('that nobody wants any longer is ended', async () => {
    open()
    const gone = new AbortController()
    const task = threads.run({ name: 'forever', tenant: 'a', input: undefined, signal: gone.signal })
    setTimeout(() => gone.abort(new Error('left')), 100)
    await expect(task).rejects.toThrow('left')
    expect(await run('echo', 1)).toBe(1)
  })

  test('that needs more memory than a thread may have fails alone', async () => {
    open({ heapMb: 64 })
    await expect(run('fill')).rejects.toBeInstanceOf(ThreadsBusy)
    expect(await run('echo', 1)).toBe(1)
  })
})

describe('many tasks', () => {
  test('of one tenant do not hold up the one of another', async () => {
    open()
    const done: string[] = []
    const noted = (tenant: string) => run('spin', 20, tenant).then(() => done.push(tenant))
    const many = Array.from({ length: 40 }, () => noted('many'))
    const one = noted('one')
    await Promise.all([...many, one])
    expect(done.indexOf('one')).toBeLessThan(20)
  })

  test('beyond those that may wait are refused, and run again when there is room', async () => {
    open()
    const all = await Promise.allSettled(Array.from({ length: MOST_WAITING + 50 }, () => run('spin', 1)))
    const refused = all.flatMap(one => (one.status === 'rejected' ? [one.reason as unknown] : []))
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.every(reason => reason instanceof ThreadsBusy)).toBe(true)
    expect(await run('echo', 1)).toBe(1)
  })
})

test('where content cannot be redacted nothing of it is kept, and the call goes on', async () => {
  open()
  const policy = {
    mode: 'all' as const,
    sample_rate: 1,
    max_chars_per_message: 100,
    redact: true,
    redaction_rule_id: null,
    retention_days: 1,
  }
  const call = { requestId: '00000000-0000-7000-8000-000000000000', request: {}, reply: 'secret', at: new Date() }
  const threadWork = { ...THREADS_HERE, keepContent: () => Promise.reject(new ThreadsBusy('too many')) }
  expect(await keptContent({ threadWork, log: silent }, { tenant: 'a' }, policy, call)).toBeUndefined()
})
