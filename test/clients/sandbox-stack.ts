import { rm } from 'node:fs/promises'
import { readStackFile } from '../../infra/dev/stack-file.ts'
import { newDataDir, runCommand } from '../dev/stack-process.ts'

export interface SandboxStack {
  apiUrl: string
  databaseUrl: string
  stop(): Promise<void>
}

/** `ipop start` with nothing configured: the sandbox is the model. */
export async function startSandboxStack(): Promise<SandboxStack> {
  const dataDir = await newDataDir()
  const stack = runCommand('start', { DATA_DIR: dataDir, PORT: '0', CATALOG_FILE: '' })
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
