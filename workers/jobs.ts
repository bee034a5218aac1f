import { batchJobs } from '../activities/batches.ts'
import { turnJobs } from '../activities/turns.ts'
import { videoJobs } from '../activities/videos.ts'
import type { JobDefinition } from '../domain/jobs/define-job.ts'
import type { WorkerDeps } from './runtime.ts'

/** Every kind of job. The workers, the relay, the reconciler and the CLI know of no other. */
export const JOBS: readonly JobDefinition<WorkerDeps>[] = [batchJobs, turnJobs, videoJobs]
