import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../infra/config.ts'
import type { RunningStack } from '../../stack/stack.ts'
import { openDatabase, type Database } from '../../infra/postgres/database.ts'
import { built } from '../support/built.ts'
import { writeTestCatalog } from '../support/catalog.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'

export interface ChaosStack {
  upstreamUrl: string
  apiUrl: string
  temporalAddress: string
  db: Database
  isRunning(name: string): boolean
  /** SIGKILL, or another signal, to a process of the stack; the supervisor starts it again. */
  kill(name: string, signal?: NodeJS.Signals): void
  stop(): Promise<void>
}

/** A stack of its own, with its supervisor in this process: what chaos breaks is nobody else's. */
export async function startChaosStack(): Promise<ChaosStack> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ipop-chaos-'))
  const upstream = await startFakeUpstream()
  const catalogFile = join(dataDir, 'catalog.json')
  await writeTestCatalog(catalogFile, upstream.url)
  const env = {
    ...process.env,
    DATA_DIR: dataDir,
    PORT: '0',
    CATALOG_FILE: catalogFile,
    OPENROUTER_BASE_URL: upstream.url,
  }
  const { startStack } = await built<typeof import('../../stack/stack.ts')>('stack/stack.js')
  const stack = await startStack(readConfig(env), { env, printLine: () => undefined })
  const { apiUrl = '', databaseUrl = '', temporalAddress = '' } = stack.file
  const db = openDatabase({ url: databaseUrl, poolSize: 4, applicationName: 'ipop-chaos', acquireTimeoutMs: 20_000 })
  return {
    upstreamUrl: upstream.url,
    apiUrl,
    temporalAddress,
    db,
    isRunning: name => stack.file.processes[name] !== undefined,
    kill: (name, signal = 'SIGKILL') => process.kill(pidOf(stack, name), signal),
    stop: async () => {
      await db.close()
      await stack.stop()
      await upstream.close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

function pidOf(stack: RunningStack, name: string): number {
  const identity = stack.file.processes[name]
  if (identity === undefined) throw new Error(`${name} is not running`)
  return identity.pid
}
