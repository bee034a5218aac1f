import type { Config } from '../../infra/config.ts'
import { openObjectStore } from '../../infra/objects/open.ts'
import type { Check } from './findings.ts'

export const objectStoreCheck = (config: Config): Check => ({
  name: 'Object store',
  look: async () => {
    await openObjectStore(config).check()
    return config.s3 === undefined
      ? `the folder objects of ${config.dataDir}`
      : `bucket ${config.s3.bucket} at ${config.s3.endpoint}`
  },
  remedy:
    config.s3 === undefined
      ? 'Make DATA_DIR a folder that this user may write to, or set S3_ENDPOINT and its companions.'
      : 'Check S3_ENDPOINT, S3_REGION, S3_BUCKET, S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY.',
})
