import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { tryLock } from '../../stack/file-lock.ts'
import { lockDataDir } from '../../stack/stack-lock.ts'
import { builtPath } from '../support/built.ts'
import { newDataDir } from './stack-process.ts'

const NAME = 'a.lock'
const RACERS = 8

const racers: ChildProcess[] = []
afterEach(() => racers.splice(0).forEach(racer => racer.kill('SIGKILL')))

/** A process that tries when it is told to, tells the outcome, and lives on. */
function racer(folder: string): ChildProcess {
  const program = `
    const { tryLock } = await import(${JSON.stringify(builtPath('stack/file-lock.js'))})
    process.on('message', () => process.send({ has: tryLock(${JSON.stringify(folder)}, '${NAME}').heldBy === undefined }))
    process.send('waiting')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  racers.push(child)
  return child
}

async function race(folder: string): Promise<{ child: ChildProcess; has: boolean }[]> {
  const children = Array.from({ length: RACERS }, () => racer(folder))
  await Promise.all(children.map(child => once(child, 'message')))
  const outcomes = children.map(async child => {
    const [{ has }] = (await once(child, 'message')) as [{ has: boolean }]
    return { child, has }
  })
  children.forEach(child => child.send('go'))
  return Promise.all(outcomes)
}

describe('a lock between processes', () => {
  test('of many that find a dead holder, one succeeds it, again and again', async () => {
    const folder = await newDataDir()
    writeFileSync(join(folder, `${NAME}.7`), JSON.stringify({ pid: 999_999_999, startedAt: '1' }))
    for (let round = 1; round <= 2; round += 1) {
      const [winner, ...others] = (await race(folder)).toSorted((a, b) => Number(b.has) - Number(a.has))
      expect(winner?.has).toBe(true)
      expect(others.filter(({ has }) => has)).toEqual([])
      expect(readdirSync(folder)).toEqual([`${NAME}.${7 + round}`])
      racers.splice(0).forEach(child => child.kill('SIGKILL'))
      if (winner !== undefined && winner.child.exitCode === null) await once(winner.child, 'exit')
    }
  })

  test('is free again when it is released, and is then released by nobody else', async () => {
    const folder = await newDataDir()
    const first = tryLock(folder, NAME)
    expect(tryLock(folder, NAME).heldBy?.pid).toBe(process.pid)
    first.release?.()
    const second = tryLock(folder, NAME)
    expect(second.heldBy).toBeUndefined()
    first.release?.()
    expect(tryLock(folder, NAME).heldBy?.pid).toBe(process.pid)
  })

  test('a file that was cut short holds nothing', async () => {
    const folder = await newDataDir()
    writeFileSync(join(folder, `${NAME}.3`), '{"pid"')
    expect(tryLock(folder, NAME).heldBy).toBeUndefined()
  })

  test('a data folder in use names who uses it', async () => {
    const dataDir = await newDataDir()
    const lock = lockDataDir(dataDir)
    expect(() => lockDataDir(dataDir)).toThrow(`running on ${dataDir} already (pid ${process.pid})`)
    lock.release()
    lockDataDir(dataDir).release()
  })
})
