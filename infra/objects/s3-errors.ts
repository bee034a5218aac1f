import { isNativeError } from 'node:util/types'
import { ObjectStoreError, type ObjectErrorCode } from './store.ts'

const CODES: Record<string, ObjectErrorCode> = {
  NoSuchKey: 'ObjectNotFound',
  NotFound: 'ObjectNotFound',
  PreconditionFailed: 'PreconditionFailed',
  ConditionalRequestConflict: 'PreconditionFailed',
  InvalidRange: 'RangeNotSatisfiable',
  NoSuchUpload: 'UploadNotFound',
  InvalidPart: 'InvalidPart',
  InvalidPartOrder: 'InvalidPart',
  EntityTooSmall: 'InvalidPart',
}

const NETWORK_CODES = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ENOTFOUND', 'EHOSTUNREACH']

/**
 * S3's and the network's failures in the words of the interface; others as they are. minio tells of a 5xx by message
 * alone. Neither the address, nor the headers, nor the body of the request goes into the message.
 */
export function storeError(error: unknown): unknown {
  if (error instanceof ObjectStoreError || !isNativeError(error)) return error
  const code = codeOf(error)
  const known = CODES[code]
  if (known !== undefined) return new ObjectStoreError(known, `the object store says ${code}`)
  if (isTransient(error)) return unavailable(`does not answer (${code || '5xx'})`)
  return error.name === 'S3Error' ? unavailable(`refuses with ${code}`) : error
}

function unavailable(what: string): ObjectStoreError {
  return new ObjectStoreError('Unavailable', `the object store ${what}`)
}

/** Whether the same request may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  return (
    NETWORK_CODES.includes(codeOf(error)) || (isNativeError(error) && error.message.includes('Retryable HTTP status'))
  )
}

/** The code of an error, of S3's or of Node's; empty where it has none. */
export function codeOf(error: unknown): string {
  return isNativeError(error) && 'code' in error ? String(error.code) : ''
}
