import { join } from 'node:path'
import type { Config } from '../config.ts'
import { FileSystemObjectStore } from './file-system.ts'
import { S3ObjectStore } from './s3.ts'
import type { ObjectStore } from './store.ts'

/** The store that is configured: S3 where it is, else the folder `objects` of the data folder. Touches neither yet. */
export function openObjectStore(config: Pick<Config, 'dataDir' | 's3'>): ObjectStore {
  if (config.s3) return new S3ObjectStore(config.s3)
  return new FileSystemObjectStore(join(config.dataDir, 'objects'))
}
