import { DomainError } from '../../../../domain/core/errors.ts'

/** What clients of AWS know by name; the text is what a person reads. */
const FAILURES = {
  AccessDenied: [403, 'The request is not signed, or may not do this.'],
  AuthorizationHeaderMalformed: [400, 'The Authorization header is not well-formed.'],
  AuthorizationQueryParametersError: [400, 'The query parameters of the signature are not well-formed.'],
  BadDigest: [400, 'The content is not the one that its checksum names.'],
  IncompleteBody: [400, 'The body is shorter or longer than it says.'],
  InvalidAccessKeyId: [403, 'There is no such access key.'],
  InvalidDigest: [400, 'A checksum is not well-formed.'],
  InvalidRequest: [400, 'The request is not well-formed.'],
  InvalidURI: [400, 'The path or the query is not well-formed.'],
  MalformedTrailerError: [400, 'The trailer is not the one that was announced.'],
  RequestTimeTooSkewed: [403, 'The time of the request is more than 15 minutes from ours.'],
  SignatureDoesNotMatch: [403, 'The signature is not the one that the request and your secret make.'],
  XAmzContentSHA256Mismatch: [400, 'The body is not the one that x-amz-content-sha256 names.'],
} as const satisfies Record<string, readonly [number, string]>

export type SigV4Code = keyof typeof FAILURES

/** A signed request that is refused. `awsCode` is what S3's clients decide by. */
export class SigV4Failure extends DomainError {
  override name = 'SigV4Failure'
  readonly awsCode: SigV4Code
  constructor(awsCode: SigV4Code, message: string = FAILURES[awsCode][1]) {
    const [status] = FAILURES[awsCode]
    super(status, status === 403 ? 'unauthorized' : 'bad_request', message, { type: 'invalid_signature' })
    this.awsCode = awsCode
  }
}
