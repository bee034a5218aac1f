import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../infra/config.ts'
import type { RunningStack } from '../../stack/stack.ts'
import { writeTestCatalog } from './catalog.ts'
import { built } from './built.ts'
import { startFakeUpstream, type RunningFakeUpstream } from './fake-upstream.ts'
import { isStackPublished, publishStack } from './stack.ts'

declare global {
  var ipopTestRun: { stack: RunningStack; upstream: RunningFakeUpstream; dataDir: string } | undefined
}

/**
 * Starts one stack for the whole run: real Postgres, Temporal, API and workers as built, and a scripted upstream in
 * place of the internet. A stack named by IPOP_TEST_STACK is used as it is.
 */
export default async function globalSetup(): Promise<void> {
  if (isStackPublished()) return
  const dataDir = await mkdtemp(join(tmpdir(), 'ipop-test-'))
  const upstream = await startFakeUpstream()
  const catalogFile = join(dataDir, 'catalog.json')
  await writeTestCatalog(catalogFile, upstream.url)
  const env = {
    ...process.env,
    DATA_DIR: dataDir,
    PORT: '0',
    DEFAULT_REQUESTS_PER_MINUTE: '0',
    CATALOG_FILE: catalogFile,
    OPENROUTER_BASE_URL: upstream.url,
    // What hangs is ended by tests; what is to time out does so at an API process of its test's own.
    UPSTREAM_REPLY_TIMEOUT_SECONDS: '600',
    UPSTREAM_IDLE_TIMEOUT_SECONDS: '300',
    VSCODE_TRIALS_PER_DAY: '1000000',
    VSCODE_TRIALS_PER_ADDRESS: '1000000',
    VSCODE_TRIAL_UPGRADE_URL: 'https://upgrade.test/',
  }
  const { startStack } = await built<typeof import('../../stack/stack.ts')>('stack/stack.js')
  const printLine = (line: string) => process.stderr.write(`${line}\n`)
  const stack = await startStack(readConfig(env), { env, printLine })
  globalThis.ipopTestRun = { stack, upstream, dataDir }
  const { apiUrl = '', temporalUiUrl = '', temporalAddress = '', databaseUrl = '', ports } = stack.file
  publishStack({
    apiUrl,
    metricsUrl: `http://127.0.0.1:${ports['apiMetrics'] ?? 0}/metrics`,
    databaseUrl,
    temporalAddress,
    temporalUiUrl,
    upstreamUrl: upstream.url,
    dataDir,
    catalogFile,
    signingKey: stack.signingKey,
    secretsKey: stack.secretsKey,
  })
}
