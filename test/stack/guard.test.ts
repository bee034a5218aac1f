import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from '@jest/globals'
import { findByCommand, isAlive, type ProcessIdentity } from '../../stack/process-identity.ts'
import { builtPath } from '../support/built.ts'
import { HANGS_AFTER_MS, until } from '../support/until.ts'

/** Deaf to what would end it in order. */
const DEAF = `process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000); process.send('up')`
const WILLING = `setInterval(() => undefined, 1000); process.send('up')`

interface Supervised {
  supervisor: ChildProcess
  guard: ProcessIdentity
  children: ProcessIdentity[]
}

const left: Supervised[] = []
afterEach(() => {
  for (const { supervisor, guard, children } of left.splice(0)) {
    supervisor.kill('SIGKILL')
    for (const one of [guard, ...children]) if (isAlive(one)) process.kill(one.pid, 'SIGKILL')
  }
})

/** A supervisor with a guard and children, each with what ends it. */
async function supervise(
  children: { program: string; stopSignal?: string; stopGraceMs: number }[],
): Promise<Supervised> {
  const program = `
    const { spawn } = await import('node:child_process')
    const { once } = await import('node:events')
    const { startGuard } = await import(${JSON.stringify(builtPath('stack/guard.js'))})
    const { identify } = await import(${JSON.stringify(builtPath('stack/process-identity.js'))})
    const guard = startGuard()
    const watched = []
    for (const { program, ...how } of ${JSON.stringify(children)}) {
      const child = spawn(process.execPath, ['-e', program], { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
      await once(child, 'message')
      watched.push({ identity: identify(child.pid), ...how })
      guard.watch(watched)
    }
    process.on('message', () => { guard.close(); process.send('closed') })
    process.send(watched.map(one => one.identity))`
  const supervisor = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [identities] = (await once(supervisor, 'message')) as [ProcessIdentity[]]
  const guard = await until(async () => guardOf(supervisor))
  const supervised = { supervisor, guard, children: identities }
  left.push(supervised)
  return supervised
}

const guardOf = ({ pid }: ChildProcess): ProcessIdentity | undefined =>
  findByCommand(['guard-program.js']).find(one => parentOf(one.pid) === pid)

const parentOf = (pid: number): number =>
  Number(spawnSync('ps', ['-o', 'ppid=', '-p', String(pid)], { encoding: 'utf8' }).stdout)

const allGone = (processes: ProcessIdentity[]) => until(async () => processes.every(one => !isAlive(one)))

describe('when a supervisor is gone without a word', () => {
  test('what it started is stopped, in order or by force, and then the guard ends', async () => {
    const { supervisor, guard, children } = await supervise([
      { program: WILLING, stopSignal: 'SIGTERM', stopGraceMs: HANGS_AFTER_MS },
      { program: DEAF, stopSignal: 'SIGTERM', stopGraceMs: 300 },
    ])
    supervisor.kill('SIGKILL')
    await allGone([...children, guard])
    expect(children).toHaveLength(2)
  })

  test('one that ends by itself is given its time first, and the others end after it', async () => {
    const slow = `process.on('disconnect', () => setTimeout(() => process.exit(), 700)); process.send('up')`
    const { supervisor, children } = await supervise([
      { program: slow, stopGraceMs: HANGS_AFTER_MS },
      { program: WILLING, stopSignal: 'SIGTERM', stopGraceMs: HANGS_AFTER_MS },
    ])
    const [first, other] = children as [ProcessIdentity, ProcessIdentity]
    supervisor.kill('SIGKILL')
    let wasKept = false
    await until(async () => {
      if (isAlive(first)) wasKept = isAlive(other)
      return !isAlive(first)
    })
    expect(wasKept).toBe(true)
    await allGone([other])
  })

  test('one that does not end by itself is killed', async () => {
    const { supervisor, children } = await supervise([{ program: DEAF, stopGraceMs: 300 }])
    supervisor.kill('SIGKILL')
    await allGone(children)
    expect(children.filter(isAlive)).toEqual([])
  })
})

describe('a guard', () => {
  test('does not end with a signal to its terminal, nor for good when it is killed', async () => {
    const { supervisor, guard, children } = await supervise([
      { program: WILLING, stopSignal: 'SIGTERM', stopGraceMs: HANGS_AFTER_MS },
    ])
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.kill(guard.pid, signal)
    expect(isAlive(guard)).toBe(true)
    process.kill(guard.pid, 'SIGKILL')
    const second = await until(async () => guardOf(supervisor))
    expect(second).not.toEqual(guard)
    supervisor.kill('SIGKILL')
    await allGone([...children, second])
  })

  test('that is closed stops nothing, and ends', async () => {
    const { supervisor, guard, children } = await supervise([
      { program: WILLING, stopSignal: 'SIGTERM', stopGraceMs: HANGS_AFTER_MS },
    ])
    supervisor.send('close')
    await once(supervisor, 'message')
    await allGone([guard])
    expect(children.filter(isAlive)).toEqual(children)
  })
})
