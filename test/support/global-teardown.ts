import { rm } from 'node:fs/promises'

/** Stops what global-setup.ts started. */
export default async function globalTeardown(): Promise<void> {
  const run = globalThis.ipopTestRun
  if (run === undefined) return
  await run.stack.stop()
  await run.upstream.close()
  await rm(run.dataDir, { recursive: true, force: true })
}
