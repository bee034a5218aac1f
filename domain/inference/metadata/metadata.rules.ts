import { Value } from 'typebox/value'
import { PublicRequestMetadata } from './metadata.schema.ts'

/**
 * A request's free metadata, where all that it names is as the fields that steer a call are; else it is the client's
 * own and steers nothing.
 */
export const metadataIfSteering = (metadata: unknown): PublicRequestMetadata | undefined =>
  metadata !== null && metadata !== undefined && Value.Check(PublicRequestMetadata, metadata) ? metadata : undefined
