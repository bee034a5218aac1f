import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readStackFile } from '../../stack/stack-file.ts'
import { newDataDir, runCommand } from '../stack/stack-process.ts'
import { writeTestCatalog } from '../support/catalog.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'

export interface SandboxStack {
  apiUrl: string
  databaseUrl: string
  stop(): Promise<void>
}

/** `ipop start` with nothing configured: the sandbox is the model. */
export const startSandboxStack = (): Promise<SandboxStack> => startStack({ CATALOG_FILE: '' })

/** The same with the tests' models and the upstream that does what each prompt says. */
export async function startScriptedStack(): Promise<SandboxStack> {
  const folder = await newDataDir()
  const upstream = await startFakeUpstream()
  const catalogFile = join(folder, 'catalog.json')
  await writeTestCatalog(catalogFile, upstream.url)
  const stack = await startStack({ CATALOG_FILE: catalogFile, OPENROUTER_BASE_URL: upstream.url })
  return {
    ...stack,
    stop: async () => {
      await stack.stop()
      await upstream.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function startStack(env: Record<string, string>): Promise<SandboxStack> {
  const dataDir = await newDataDir()
  const stack = runCommand('start', { DATA_DIR: dataDir, PORT: '0', ...env })
  await stack.printed('Ctrl-C stops everything.')
  const { apiUrl, databaseUrl } = readStackFile(dataDir) ?? {}
  if (apiUrl === undefined || databaseUrl === undefined) throw new Error('the stack does not tell where it is')
  return {
    apiUrl,
    databaseUrl,
    stop: async () => {
      stack.child.kill('SIGTERM')
      await stack.ended
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
