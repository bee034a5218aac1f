import { DomainError } from '../../../domain/core/errors.ts'

/** The path is an operation's, of other methods. Its reply names them (RFC 9110 section 15.5.6). */
export class MethodNotAllowed extends DomainError {
  readonly allowed: readonly string[]
  constructor(allowed: readonly string[]) {
    super(405, 'bad_request', `This path takes ${allowed.join(', ')}.`, { type: 'method_not_allowed' })
    this.allowed = allowed
  }
}

/** What came as JSON is none, which JSON-RPC has a code of its own for. */
export class MalformedJson extends DomainError {
  constructor(message: string) {
    super(400, 'bad_request', message, { type: 'invalid_request' })
  }
}
