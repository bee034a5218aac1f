import type { DomainError } from '../../../domain/core/errors.ts'

/** S3's codes (its API reference, "Error responses") by the finer kind of the error, else by its status. */
const BY_TYPE: Readonly<Record<string, string>> = {
  bucket_not_found: 'NoSuchBucket',
  upload_not_found: 'NoSuchUpload',
  invalid_part: 'InvalidPart',
  signature_mismatch: 'SignatureDoesNotMatch',
  unknown_access_key: 'InvalidAccessKeyId',
  clock_skew: 'RequestTimeTooSkewed',
  content_mismatch: 'XAmzContentSHA256Mismatch',
}
const BY_STATUS: Readonly<Record<number, string>> = {
  400: 'InvalidRequest',
  401: 'AccessDenied',
  402: 'AccountProblem',
  403: 'AccessDenied',
  404: 'NoSuchKey',
  405: 'MethodNotAllowed',
  409: 'OperationAborted',
  411: 'MissingContentLength',
  412: 'PreconditionFailed',
  413: 'EntityTooLarge',
  416: 'InvalidRange',
  429: 'SlowDown',
  503: 'ServiceUnavailable',
}
const INTERNAL = 'InternalError'

/** S3 has no 401: who may not is refused with a 403. */
export const s3Status = (failure: DomainError): number => (failure.status === 401 ? 403 : failure.status)

/** The error body that S3's clients read. `resource` is the path of the request. */
export function s3ErrorText(failure: DomainError, requestId: string, resource: string): string {
  const code = BY_TYPE[failure.type ?? ''] ?? BY_STATUS[failure.status] ?? INTERNAL
  const fields = { Code: code, Message: failure.message, Resource: resource, RequestId: requestId }
  const elements = Object.entries(fields).map(([name, text]) => `<${name}>${escaped(text)}</${name}>`)
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${elements.join('')}</Error>`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}
// Control characters have no form in XML 1.0 (section 2.2).
// eslint-disable-next-line no-control-regex
const NO_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g

const escaped = (text: string): string =>
  text
    .toWellFormed()
    .replaceAll(NO_XML, '')
    .replaceAll(/[&<>"']/g, character => ENTITIES[character] ?? '')
