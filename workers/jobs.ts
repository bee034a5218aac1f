import { batchJobs } from '../activities/work/batches.ts'
import { turnJobs } from '../activities/work/turns.ts'
import { videoJobs } from '../activities/work/videos.ts'
import type { JobDefinition } from '../domain/durable/jobs/define-job.ts'
import type { WorkerDeps } from './runtime.ts'

/** Every kind of job. The workers, the relay, the reconciler and the CLI know of no other. */
export const JOBS: readonly JobDefinition<WorkerDeps>[] = [batchJobs, turnJobs, videoJobs]
