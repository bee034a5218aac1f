import { fileURLToPath } from 'node:url'
import type { ProcessSpec } from './managed-process.ts'

const CLI = fileURLToPath(new URL('../cli/main.js', import.meta.url))
const START_TIMEOUT_MS = 60_000
/** Of the ten seconds in which the stack stops; the rest is for the servers behind API and workers. */
const STOP_GRACE_MS = 7_000

/** A process of ours as a child: `ipop <command>` with the stack's environment. It tells by message when it is up. */
export const ourProcess = (command: string, env: NodeJS.ProcessEnv): ProcessSpec => ({
  name: command.split(' --')[0] ?? command,
  command: process.execPath,
  args: [CLI, ...command.split(' ')],
  env,
  isReady: 'message',
  isInBackground: command.startsWith('worker'),
  startTimeoutMs: START_TIMEOUT_MS,
  stopSignal: 'SIGTERM',
  stopGraceMs: STOP_GRACE_MS,
})
