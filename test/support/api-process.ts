import { fork } from 'node:child_process'
import { once } from 'node:events'
import { builtPath } from './built.ts'
import { testStack } from './stack.ts'
import { until } from './until.ts'

const LOG_LIMIT_CHARACTERS = 200_000

export interface ApiProcess {
  /** Its base, without the version: what `apiClient` takes. */
  url: string
  pid: number
  /** What it has written so far. */
  logs(): string
  /** What it has written, once the access line of the reply's request is there: it may come after the reply. */
  logsAfter(reply: Pick<Response, 'headers'>): Promise<string>
  stop(): Promise<void>
}

/** Another API process beside the stack's, on a free port, over the same database, objects and upstream. */
export async function spawnApi(env: Record<string, string> = {}): Promise<ApiProcess> {
  const child = fork(builtPath('cli/main.js'), ['api'], { env: { ...environment(), ...env }, silent: true })
  let logs = ''
  const keep = (part: Buffer) => void (logs = (logs + part.toString()).slice(-LOG_LIMIT_CHARACTERS))
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const ended = once(child, 'exit')
  const ready = once(child, 'message').then(([message]) => (message as { port: number }).port)
  const port = await Promise.race([ready, ended])
  if (typeof port !== 'number' || child.pid === undefined) throw new Error(`the API process did not start: ${logs}`)
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    logs: () => logs,
    logsAfter: ({ headers }) => until(async () => hasAccessLine(logs, headers.get('x-request-id')) && logs),
    stop: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function hasAccessLine(logs: string, requestId: string | null): boolean {
  return logs.split('\n').some(line => line.includes(`"requestId":"${requestId}"`) && line.endsWith('"msg":"request"}'))
}

function environment(): Record<string, string> {
  const { databaseUrl, temporalAddress, dataDir, signingKey, secretsKey, catalogFile, upstreamUrl } = testStack()
  return {
    PATH: process.env['PATH'] ?? '',
    HOST: '127.0.0.1',
    PORT: '0',
    DEFAULT_REQUESTS_PER_MINUTE: '0',
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporalAddress,
    DATA_DIR: dataDir,
    SIGNING_KEY: signingKey,
    SECRETS_KEY: secretsKey,
    CATALOG_FILE: catalogFile,
    OPENROUTER_BASE_URL: upstreamUrl,
  }
}
