import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtPath } from '../support/built.ts'

export const newDataDir = (): Promise<string> => mkdtemp(join(tmpdir(), 'ipop-dev-'))

export interface StackProcess {
  child: ChildProcess
  output: () => string
  /** Resolves when the text has been printed; rejects where the process ends before. */
  printed(text: string): Promise<void>
  /** Its exit code, when it has ended. */
  ended: Promise<number | null>
}

/** `ipop <command>` as a person starts it, in a session without a terminal. */
export function runCommand(command: string, env: Record<string, string>): StackProcess {
  const child = spawn(process.execPath, [builtPath('cli/main.js'), command], {
    env: { ...withoutOurs(process.env), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (part: Buffer) => (output += part.toString()))
  child.stderr.on('data', (part: Buffer) => (output += part.toString()))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return {
    child,
    output: () => output,
    ended,
    printed: text =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (output.includes(text)) resolve()
        }
        child.stdout.on('data', look)
        void ended.then(() => reject(new Error(`it ended without printing ${JSON.stringify(text)}: ${output}`)))
        look()
      }),
  }
}

/** What the run's own stack set must not reach another one. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const {
    IPOP_TEST_STACK: _stack,
    OPENROUTER_API_KEY: _key,
    OPENROUTER_BASE_URL: _url,
    DATABASE_URL: _database,
    ...rest
  } = env
  return rest
}
