import { modelRoutes } from './inference/models.ts'
import { chatRoutes } from './inference/chat.ts'
import { completionRoutes } from './inference/completions.ts'
import { embeddingsRoutes } from './inference/embeddings.ts'
import { estimateRoutes } from './inference/estimate.ts'
import { imageRoutes } from './inference/images.ts'
import { videoRoutes } from './work/videos.ts'
import { responseRoutes } from './inference/responses.ts'
import { fileRoutes } from './work/files.ts'
import { batchRoutes } from './work/batches.ts'
import { turnRoutes } from './work/turns.ts'
import { toolBatchRoutes } from './work/tool-batches.ts'
import { usageRoutes } from './money/usage.ts'
import { historyRoutes } from './inference/history.ts'
import { meterRoutes } from './money/meters.ts'
import { projectRoutes } from './inference/content-policy.ts'
import { credentialRoutes } from './inference/credentials.ts'
import { clientConfigRoutes, capabilityRoutes } from './inference/client-config.ts'
import { trialRoutes } from './tenancy/trials.ts'
import { systemRoutes } from './core/system.ts'

const FEATURES = [
  ...modelRoutes,
  ...chatRoutes,
  ...completionRoutes,
  ...embeddingsRoutes,
  ...estimateRoutes,
  ...imageRoutes,
  ...videoRoutes,
  ...responseRoutes,
  ...fileRoutes,
  ...batchRoutes,
  ...turnRoutes,
  ...toolBatchRoutes,
  ...usageRoutes,
  ...historyRoutes,
  ...meterRoutes,
  ...projectRoutes,
  ...credentialRoutes,
  ...clientConfigRoutes,
  ...trialRoutes,
]

const OPERATIONS = [...FEATURES, ...capabilityRoutes(FEATURES)]

/** All operations: what the router, the served document and the sweeps read. */
export const routes = [...OPERATIONS, ...systemRoutes(OPERATIONS)]
