import { execFile } from 'node:child_process'
import { readlink } from 'node:fs/promises'
import { promisify } from 'node:util'
import { findProgram, SYSTEM_FOLDERS } from './tools.ts'

/** How a child is kept apart from the system. */
export interface Isolation {
  name: 'unshare' | 'bwrap' | 'sandbox-exec' | 'none'
  /** What the command begins with. */
  prefix: readonly string[]
  /** Without it the child reaches whatever this process reaches. */
  hasNoNetwork: boolean
  /** Its processes are a world of their own: none outlives the first, and a limit of their number counts them alone. */
  hasOwnProcesses: boolean
}

export const NO_ISOLATION: Isolation = { name: 'none', prefix: [], hasNoNetwork: false, hasOwnProcesses: false }

const PROBE_MS = 10_000
/** Any user but root, which has no privileges in its own namespace either once a program is executed. */
const MAPPED_ID = 65_534
const MACOS_PROFILE = '(version 1)(allow default)(deny network*)'

type Candidate = Omit<Isolation, 'prefix'> & { arguments: readonly string[] }

/**
 * From the best to the least: with a /proc of its own a child does not see the environment of this process, which
 * containers with a masked /proc refuse. The user stays who started it, under another number, so that folders that only
 * they may enter work.
 */
function candidates(): Candidate[] {
  const uid = process.getuid?.() || MAPPED_ID
  const gid = process.getgid?.() || MAPPED_ID
  const apart = { hasNoNetwork: true, hasOwnProcesses: true }
  const unshare = `--user --map-user=${uid} --map-group=${gid} --net --ipc --pid --fork --kill-child`
  const bwrap =
    `--unshare-user --uid ${uid} --gid ${gid} --unshare-net --unshare-ipc --unshare-pid --die-with-parent ` +
    '--cap-drop ALL --dev-bind / / --proc /proc'
  return [
    { name: 'unshare', arguments: [...unshare.split(' '), '--mount-proc', '--'], ...apart },
    { name: 'bwrap', arguments: [...bwrap.split(' '), '--'], ...apart },
    { name: 'unshare', arguments: [...unshare.split(' '), '--'], ...apart },
    { name: 'sandbox-exec', arguments: ['-p', MACOS_PROFILE], hasNoNetwork: true, hasOwnProcesses: false },
  ]
}

let found: Promise<Isolation> | undefined

/** The best that this system lets this user do, tried once in a process. */
export const findIsolation = (): Promise<Isolation> => (found ??= search(SYSTEM_FOLDERS))

async function search(path: string): Promise<Isolation> {
  for (const { arguments: args, ...isolation } of candidates()) {
    const program = await findProgram(isolation.name, path)
    if (program === undefined) continue
    const prefix = [program, ...args]
    if (await isApart(prefix)) return { ...isolation, prefix }
  }
  return NO_ISOLATION
}

/** Where namespaces have names (Linux), that the network's is another one; elsewhere, that the command works at all. */
async function isApart(prefix: readonly string[]): Promise<boolean> {
  const [program = '', ...args] = prefix
  const ask = promisify(execFile)
  const options = { timeout: PROBE_MS, killSignal: 'SIGKILL', env: { PATH: SYSTEM_FOLDERS } } as const
  try {
    const own = await readlink('/proc/self/ns/net').catch(() => '')
    const script = own === '' ? 'echo apart' : 'readlink /proc/self/ns/net'
    const { stdout } = await ask(program, [...args, '/bin/sh', '-c', script], options)
    return stdout.trim() !== '' && stdout.trim() !== own
  } catch {
    return false
  }
}
