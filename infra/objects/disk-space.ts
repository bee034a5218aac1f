import { statfs } from 'node:fs/promises'
import type { Config } from '../config.ts'

/** How much room there is where bytes are kept on a disk of this machine. */
export interface DiskSpace {
  isNearlyFull(): Promise<boolean>
}

/** The figure is asked for this often at most. */
const FRESH_MS = 1_000

/** Of the disk of DATA_DIR; where objects are kept elsewhere, there is always room. */
export function createDiskSpace({ dataDir, s3, storage }: Pick<Config, 'dataDir' | 's3' | 'storage'>): DiskSpace {
  if (s3 !== undefined) return { isNearlyFull: () => Promise.resolve(false) }
  let askedAtMs = Number.NEGATIVE_INFINITY
  let answer: Promise<boolean> = Promise.resolve(false)
  const ask = async () => {
    const { bavail, bsize } = await statfs(dataDir)
    return bavail * bsize < storage.leastFreeBytes
  }
  return {
    isNearlyFull: () => {
      if (performance.now() - askedAtMs < FRESH_MS) return answer
      askedAtMs = performance.now()
      // A disk that cannot be asked refuses writes by itself.
      answer = ask().catch(() => false)
      return answer
    },
  }
}
