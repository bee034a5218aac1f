import { stopProcess } from './process-identity.ts'
import type { StackFile } from './stack-file.ts'

const GRACE_MS = 5_000

/** Stops what an earlier run left, in the order in which a stack stops. */
export async function stopLeftovers(earlier: StackFile | undefined): Promise<void> {
  for (const [name, identity] of Object.entries(earlier?.processes ?? {}).reverse()) {
    await stopProcess(identity, name === 'postgres' ? 'SIGINT' : 'SIGTERM', GRACE_MS)
  }
}
