import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from '@jest/globals'
import { builtPath } from '../support/built.ts'

const children: ChildProcess[] = []
afterEach(() => children.splice(0).forEach(child => child.kill('SIGKILL')))

/** A process of ours that listens to signals when told to, and stops as given. */
function startOurs(stop: string, { graceMs = 600_000 } = {}): ChildProcess {
  const program = `
    const { announceReady, stopOnSignal } = await import(${JSON.stringify(builtPath('infra/process.js'))})
    const log = { info: () => undefined, error: () => undefined }
    const begin = () => { stopOnSignal({ log, stop: ${stop}, graceMs: ${graceMs} }); announceReady({ port: 1 }) }
    process.once('message', begin)
    process.send('waiting')
    setInterval(() => process.connected || begin(), 50)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  children.push(child)
  return child
}

async function listening(child: ChildProcess): Promise<unknown> {
  await once(child, 'message')
  child.send('begin')
  const [message] = (await once(child, 'message')) as [unknown]
  return message
}

const IN_ORDER = 'async () => undefined'
const NEVER = '() => new Promise(() => undefined)'

describe('a process of ours', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('stops in order at %s', async signal => {
    const child = startOurs(IN_ORDER)
    expect(await listening(child)).toEqual({ type: 'ready', port: 1 })
    child.kill(signal)
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('stops when its supervisor goes', async () => {
    const child = startOurs(IN_ORDER)
    await listening(child)
    child.disconnect()
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('stops when its supervisor went before it was up', async () => {
    const child = startOurs(IN_ORDER)
    await once(child, 'message')
    child.disconnect()
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('is gone when its time is up', async () => {
    const child = startOurs(NEVER, { graceMs: 300 })
    await listening(child)
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([1, null])
  })

  test('is gone when stopping fails', async () => {
    const child = startOurs(`() => Promise.reject(new Error('no'))`)
    await listening(child)
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([1, null])
  })

  test('a second signal ends it at once, the same one twice under npm does not', async () => {
    // It sends itself the second one, so that no slow machine makes it come later than npm's.
    const again = `process.kill(process.pid, 'SIGINT'); process.send('stopping')`
    const child = startOurs(`() => { ${again}; return new Promise(() => undefined) }`)
    await listening(child)
    const askedAtMs = Date.now()
    child.kill('SIGINT')
    await once(child, 'message')
    const more = setInterval(() => child.kill('SIGINT'), 100)
    const [code] = (await once(child, 'exit')) as [number]
    clearInterval(more)
    expect(code).toBe(1)
    expect(Date.now() - askedAtMs).toBeGreaterThan(500)
  })
})
