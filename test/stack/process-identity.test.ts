import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from '@jest/globals'
import { commandOf, findByCommand, identify, isAlive, stopProcess } from '../../stack/process-identity.ts'

function sleeper() {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' })
  const identity = identify(child.pid ?? 0)
  if (identity === undefined) throw new Error('the process is not there')
  return { child, identity }
}

describe('the identity of a process', () => {
  test('a running process is alive, one that has ended is not', async () => {
    const { child, identity } = sleeper()
    expect(isAlive(identity)).toBe(true)
    expect(commandOf(identity.pid)).toContain('sleep')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isAlive(identity)).toBe(false)
  })

  test('another process under the same pid is neither alive nor stopped', async () => {
    const { child, identity } = sleeper()
    const earlier = { ...identity, startedAt: '1' }
    expect(isAlive(earlier)).toBe(false)
    await stopProcess(earlier, 'SIGTERM', 1_000)
    expect(isAlive(identity)).toBe(true)
    child.kill('SIGKILL')
  })

  test('processes are found by all the words of their command, and by no fewer', async () => {
    const mark = `3${process.pid}.5`
    const child = spawn('sleep', [mark], { stdio: 'ignore' })
    expect(findByCommand(['sleep', mark]).map(({ pid }) => pid)).toEqual([child.pid])
    expect(findByCommand(['snooze', mark])).toEqual([])
    child.kill('SIGKILL')
  })

  test('one that ignores the signal is killed when its time is up', async () => {
    const child = spawn('sh', ['-c', 'trap "" TERM; echo ready; while true; do sleep 1; done'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await once(child.stdout, 'data')
    const identity = identify(child.pid ?? 0)
    if (identity === undefined) throw new Error('the process is not there')
    await stopProcess(identity, 'SIGTERM', 200)
    expect(isAlive(identity)).toBe(false)
  })
})
