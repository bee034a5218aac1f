import { ConfigError, readConfig, type Config } from '../infra/config.ts'
import { urlOf } from '../stack/ports.ts'
import { startStack, type RunningStack } from '../stack/stack.ts'
import { stopOnSignal } from '../infra/process.ts'

/** Longer than the stack's own stop, which takes ten seconds at the most. */
const GRACE_MS = 15_000

/** Runs the stack until it is told to stop. */
export async function start(env: NodeJS.ProcessEnv): Promise<void> {
  const config = readConfig(env)
  // Whoever read our output may leave, a closed terminal for one: the stack stops in order all the same.
  process.stdout.on('error', () => undefined)
  const printLine = (line: string) => console.log(line)
  const onBegin = (stack: Pick<RunningStack, 'stop' | 'kill'>) => {
    stopOnSignal({ log: printingLog(printLine), stop: () => stack.stop(), graceMs: GRACE_MS })
    process.on('exit', () => stack.kill())
  }
  printLine(welcome(await startStack(config, { env, printLine, onBegin }), config))
}

const printingLog = (printLine: (line: string) => void) => ({
  info: () => printLine('Stopping … (Ctrl-C again stops at once)'),
  error: () => printLine('Something did not stop in order.'),
})

function welcome({ file, apiKey }: RunningStack, { dataDir, host }: Config): string {
  if (file.apiUrl === undefined) throw new ConfigError('The API has no address.')
  const body = '{"model":"ipop/coder-balanced","messages":[{"role":"user","content":"Say hello."}]}'
  return `
  API            ${file.apiUrl}/v1
  Temporal UI    ${file.temporalUiUrl ?? '(set TEMPORAL_UI_URL)'}
  Metrics        ${urlOf(host, file.ports['apiMetrics'] ?? 0)}/metrics
  Data, logs     ${dataDir}
  API key        ${apiKey === '' ? 'npx ipop keys create …' : apiKey}

  curl ${file.apiUrl}/v1/chat/completions -H 'x-api-key: ${apiKey}' \\
    -H 'content-type: application/json' -d '${body}'

  Ctrl-C stops everything.
`
}
