import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { allProcesses } from '../../../../infra/child/family.ts'
import { findIsolation, NO_ISOLATION, type Isolation } from '../../../../infra/child/isolation.ts'
import type { ChildLimits } from '../../../../infra/child/limits.ts'
import { ChildFailure, runChild, type ChildSpec } from '../../../../infra/child/run.ts'
import { until } from '../../../support/until.ts'

const MIB = 1024 * 1024
const LIMITS: ChildLimits = {
  seconds: 120,
  cpuSeconds: 60,
  memoryBytes: 1024 * MIB,
  processes: 64,
  openFiles: 64,
  fileBytes: 16 * MIB,
  outputBytes: MIB,
}
const NODE = process.execPath

let folder: string
let best: Isolation
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ipop-child-test-'))
  best = await findIsolation()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

type Changes = Partial<Omit<ChildSpec, 'limits'>> & { limits?: Partial<ChildLimits> }

/** Runs a program, held apart as well as the system can unless told. */
const run = (program: string, args: string[], changes: Changes = {}) =>
  runChild({
    program,
    args,
    folder,
    signal: new AbortController().signal,
    isolation: best,
    ...changes,
    limits: { ...LIMITS, ...changes.limits },
  })
const sh = (script: string, changes: Changes = {}) => run('/bin/sh', ['-c', script], changes)

const faultOf = async (running: Promise<unknown>): Promise<Partial<ChildFailure>> => {
  const error = await running.then(
    () => undefined,
    (failure: unknown) => failure,
  )
  if (error instanceof ChildFailure)
    return { fault: error.fault, ...(error.code !== undefined && { code: error.code }) }
  throw new Error(`no failure of a child but ${String(error)}`)
}

/** How many processes of the machine have the word in their command line. */
async function running(word: string): Promise<number> {
  const commands = (await allProcesses()).map(({ pid }) => commandOf(pid))
  return commands.filter(command => command.includes(word)).length
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

let marks = 0
/** A word that nobody else has in a command line, and that `sleep` takes for a time. */
const mark = (): string => `${86_000 + (marks += 1)}.${process.pid}`

describe.each<[string, () => Isolation]>([
  ['apart', () => best],
  ['with nothing but limits', () => NO_ISOLATION],
])('a child %s', (_, isolationOf) => {
  const apart = (changes: Changes = {}) => ({ isolation: isolationOf(), ...changes })

  test('gives what it wrote', async () => {
    const { stdout, stderr } = await sh('printf "to %s" "$1"; echo aside >&2; cat', apart({ input: Buffer.from('!') }))
    expect([stdout.toString(), stderr]).toEqual(['to !', 'aside\n'])
  })

  test('gets its arguments as they are', async () => {
    const args = ['a b', "'", '"$HOME"', '`id`', '$(id)', ';', '*', '--', '-c', '', 'ü\n']
    const { stdout } = await run(NODE, ['-p', 'JSON.stringify(process.argv.slice(1))', '--', ...args], apart())
    expect(JSON.parse(stdout.toString())).toEqual(args)
  })

  test('reads a stream to its end, and need not', async () => {
    const input = () => Readable.from(Array.from({ length: 200 }, () => Buffer.alloc(10_000, 'x')))
    const { stdout } = await sh('wc -c', apart({ input: input() }))
    expect(Number(stdout)).toBe(2_000_000)
    expect((await sh('head -c 3', apart({ input: input() }))).stdout.toString()).toBe('xxx')
  })

  test('ends with what its input fails with', async () => {
    const input = new Readable({ read: () => undefined })
    const running = sh('cat', apart({ input }))
    input.push('x')
    input.destroy(new Error('the upload broke off'))
    await expect(running).rejects.toThrow('the upload broke off')
  })

  test('knows nothing of this environment', async () => {
    process.env['IPOP_CANARY'] = 'canary'
    try {
      const { stdout } = await sh('env', apart({ env: { OWN: '1' } }))
      const names = stdout
        .toString()
        .split('\n')
        .filter(Boolean)
        .map(line => line.split('=')[0])
      expect(new Set(names)).toEqual(new Set(['HOME', 'IPOP_CHILD', 'LANG', 'OWN', 'PATH', 'PWD', 'TMPDIR', 'TZ']))
    } finally {
      delete process.env['IPOP_CANARY']
    }
  })

  test('tells how it failed', async () => {
    expect(await faultOf(sh('exit 7', apart()))).toEqual({ fault: 'exit', code: 7 })
    expect(await faultOf(sh('kill -SEGV $$', apart()))).toEqual({ fault: 'exit', code: 128 + 11 })
    const error = await sh('echo "no such codec" >&2; exit 1', apart()).catch((failure: unknown) => failure)
    expect(error).toMatchObject({ message: 'sh ended with code 1', stderr: 'no such codec\n' })
  })

  test.each([
    ['/no/such/program', []],
    ['sh', []],
    ['/etc/passwd', []],
    ['/bin', []],
    ['/bin/echo', ['a\0b']],
    ['/bin/echo', ['x'.repeat(4 * MIB)]],
  ])('%s that cannot be started says so', async (program, args) => {
    expect(await faultOf(run(program, args, apart()))).toEqual({ fault: 'not_started' })
  })

  test('is ended whole when its time is over', async () => {
    const word = mark()
    const script = `sleep ${word} & (sleep ${word} & sleep ${word}) & sleep ${word}`
    expect(await faultOf(sh(script, apart({ limits: { seconds: 1 } })))).toEqual({ fault: 'time' })
    expect(await running(word)).toBe(0)
  })

  test('is ended whole when it is aborted, also what left its group', async () => {
    const word = mark()
    const aborting = new AbortController()
    const over = sh(`setsid sleep ${word} & (setsid sh -c 'sleep ${word} & sleep ${word}' &) ; sleep ${word}`, {
      ...apart(),
      signal: aborting.signal,
    })
    await until(async () => (await running(word)) >= 4)
    aborting.abort(new Error('cancelled'))
    await expect(over).rejects.toThrow('cancelled')
    expect(await running(word)).toBe(0)
  })

  test('is not begun once it is aborted', async () => {
    await expect(sh('touch begun', { ...apart(), signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
      'before',
    )
    await expect(readFile(join(folder, 'begun'))).rejects.toThrow('ENOENT')
  })

  test('leaves nothing running that it started when it ends', async () => {
    const word = mark()
    const { stdout } = await sh(`sleep ${word} & sleep ${word} >/dev/null & echo done`, apart())
    expect(stdout.toString()).toBe('done\n')
    expect(await running(word)).toBe(0)
  })

  test('that writes too much is ended, and little of it is kept', async () => {
    const before = process.memoryUsage().rss
    expect(await faultOf(sh('yes', apart()))).toEqual({ fault: 'output' })
    const { stderr } = await sh('head -c 50000000 /dev/zero >&2; echo end >&2', apart())
    expect(stderr).toHaveLength(16 * 1024)
    expect(stderr.endsWith('end\n')).toBe(true)
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * MIB)
  })

  test('that forks without end is ended', async () => {
    const word = mark()
    // Of 2,000 processes at the most, for the machine's sake where it is not ended.
    const bomb = `b() { sleep ${word} & if [ $1 -gt 0 ]; then b $(($1 - 1)) & b $(($1 - 1)) & fi; wait; }; b 9`
    const { fault } = await faultOf(sh(bomb, apart({ limits: { processes: 32 } })))
    expect(['processes', 'exit', 'memory']).toContain(fault)
    await until(async () => (await running(word)) === 0)
  })

  test('that takes too much memory is refused it, or ended', async () => {
    const eat = 'const all = []; for (;;) all.push(Buffer.alloc(16 * 1024 * 1024, 1))'
    const { fault } = await faultOf(run(NODE, ['-e', eat], apart({ limits: { memoryBytes: 400 * MIB } })))
    expect(['memory', 'exit']).toContain(fault)
  })

  test('whose processes take too much memory together is ended', async () => {
    const eat = 'globalThis.all = Buffer.alloc(150 * 1024 * 1024, 1); setInterval(() => 0, 1000)'
    const script = `for i in 1 2 3 4; do "${NODE}" -e "${eat}" & done; wait`
    expect(await faultOf(sh(script, apart({ limits: { memoryBytes: 500 * MIB } })))).toEqual({ fault: 'memory' })
  })

  test('that uses the processor for too long is ended, alone or in many', async () => {
    const spin = 'while :; do :; done'
    expect(await faultOf(sh(spin, apart({ limits: { cpuSeconds: 1 } })))).toEqual({ fault: 'cpu' })
    const many = `for i in 1 2 3 4; do (${spin}) & done; wait`
    expect(await faultOf(sh(many, apart({ limits: { cpuSeconds: 2 } })))).toEqual({ fault: 'cpu' })
  })

  test('opens so many files and writes so large ones, and no more', async () => {
    const open = 'const fs = require("fs"); try { for (;;) fs.openSync("/dev/null") } catch (e) { console.log(e.code) }'
    expect((await run(NODE, ['-e', open], apart())).stdout.toString()).toBe('EMFILE\n')
    const { fault } = await faultOf(sh('head -c 20000000 /dev/zero > large && echo ok', apart()))
    expect(fault).toBe('exit')
    expect((await readFile(join(folder, 'large'))).length).toBeLessThanOrEqual(LIMITS.fileBytes)
  })

  test('is alive by its heartbeats, and ends with what they throw', async () => {
    let beats = 0
    await sh('sleep 3', apart({ heartbeat: () => void (beats += 1) }))
    expect(beats).toBeGreaterThanOrEqual(1)
    const lost = () => {
      throw new Error('the activity was cancelled')
    }
    await expect(sh('sleep 1000', apart({ heartbeat: lost }))).rejects.toThrow('the activity was cancelled')
  })

  test('ends when the process that started it is killed', async () => {
    const word = mark()
    const starter = join(folder, `starter-${word}.mjs`)
    const module = new URL('../../../../dist/infra/child/run.js', import.meta.url).href
    const spec = { program: '/bin/sleep', args: [word], folder, limits: LIMITS, isolation: isolationOf() }
    await writeFile(
      starter,
      `import { runChild } from ${JSON.stringify(module)}
       await runChild({ ...${JSON.stringify(spec)}, signal: new AbortController().signal })`,
    )
    const parent = spawn(NODE, [starter], { stdio: 'ignore' })
    await until(async () => (await running(word)) > 1)
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    expect(await until(async () => (await running(word)) === 0)).toBe(true)
  })
})

describe('a child apart', () => {
  const asked = async (isolation: Isolation) => {
    let requests = 0
    const server = createServer((_, response) => response.end(String((requests += 1)))).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const ask = `fetch("http://127.0.0.1:${port}").then(r => r.text()).then(console.log, () => console.log("nobody"))`
    const { stdout } = await run(NODE, ['-e', ask], { isolation }).finally(() => server.close())
    return { requests, told: stdout.toString().trim() }
  }

  test('reaches no network, not even this machine', async () => {
    expect(await asked(NO_ISOLATION)).toEqual({ requests: 1, told: '1' })
    if (!best.hasNoNetwork) throw new Error('this system has no isolation: install util-linux or bubblewrap')
    expect(await asked(best)).toEqual({ requests: 0, told: 'nobody' })
  })

  test("sees no other processes, and so nobody's environment", async () => {
    const { stdout } = await sh(
      `cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c NODE_ENV; ls -d /proc/[0-9]* | wc -l`,
    ).catch(() => ({ stdout: Buffer.from('') }))
    const [secrets, processes] = stdout.toString().trim().split('\n').map(Number)
    expect(secrets).toBe(0)
    expect(processes).toBeLessThan(12)
  })
})
