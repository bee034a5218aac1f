import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readConfig, type Config } from '../../infra/config.ts'
import { startStack, type RunningStack } from '../../stack/stack.ts'
import { stopOnSignal } from '../../infra/process.ts'
import { operatorConfig, runningStack } from '../operator/operator-config.ts'
import { runDemo } from './demo.ts'

const STOP_GRACE_MS = 15_000
const START_WAIT_MS = 60_000
const LOOK_EVERY_MS = 250
const CALL_TIMEOUT_MS = 2_000

const printLine = (line: string): void => void process.stdout.write(`${line}\n`)

/** The demo on the stack that runs on DATA_DIR, else on one of its own. Errors: Error with a sentence. */
export async function demo(env: NodeJS.ProcessEnv): Promise<void> {
  const config = readConfig(env)
  const apiUrl = runningStack(config.dataDir)?.apiUrl
  if (apiUrl !== undefined) return demoOnRunning(operatorConfig(env), apiUrl)
  await demoOnOwn(config, env)
}

async function demoOnRunning(config: Config, apiUrl: string): Promise<void> {
  await apiAnswers(apiUrl)
  const apiKey = readFileSync(join(config.dataDir, 'dev-api-key'), 'utf8').trim()
  printLine(`Using the stack that runs at ${apiUrl}`)
  await runDemo(targetOf(config, apiUrl, apiKey), process.stdout)
}

/** It may be starting still. */
async function apiAnswers(apiUrl: string): Promise<void> {
  const giveUpAtMs = Date.now() + START_WAIT_MS
  for (;;) {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS)
    const reply = await fetch(`${apiUrl}/v1/status`, { signal }).catch(() => undefined)
    if (reply?.ok === true) return
    if (Date.now() > giveUpAtMs)
      throw new Error(`The API at ${apiUrl} does not answer, though a stack runs on DATA_DIR: see its logs.`)
    await delay(LOOK_EVERY_MS)
  }
}

async function demoOnOwn(config: Config, env: NodeJS.ProcessEnv): Promise<void> {
  const stack = await startStack(config, { env, printLine, onBegin: stopWithUs })
  try {
    const { apiUrl, temporalUiUrl } = stack.file
    if (apiUrl === undefined) throw new Error('The stack that was started has no API.')
    printLine(`Started a stack: API ${apiUrl}/v1, Temporal UI ${temporalUiUrl ?? 'elsewhere'}`)
    const temporal = { ...config.temporal, uiUrl: temporalUiUrl }
    await runDemo(targetOf({ ...config, temporal }, apiUrl, stack.apiKey), process.stdout)
    await keepUntilEnter()
  } finally {
    await stack.stop()
  }
  process.exit(0)
}

function stopWithUs(stack: Pick<RunningStack, 'stop' | 'kill'>): void {
  const log = { info: () => printLine('Stopping …'), error: () => printLine('Something did not stop in order.') }
  stopOnSignal({ log, stop: () => stack.stop(), graceMs: STOP_GRACE_MS })
  process.on('exit', () => stack.kill())
}

async function keepUntilEnter(): Promise<void> {
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    return printLine('\nStopping the stack: `npm start` brings it back, and the link with it.')
  printLine('\nThe stack keeps running, to look around: press Enter to stop it.')
  await once(process.stdin, 'data')
}

const targetOf = (config: Config, apiUrl: string, apiKey: string) => ({
  apiUrl,
  apiKey,
  temporal: config.temporal,
  folder: join(config.dataDir, 'demo'),
})
