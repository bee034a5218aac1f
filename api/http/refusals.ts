import type { IncomingMessage } from 'node:http'
import { badRequest, DomainError } from '../../domain/core/errors.ts'

const CONTINUE = /^100-continue$/i

/** No operation has that path. `meant`: the one whose path a wrong base URL stands before. */
export function unknownOperation(baseUrl: string, meant: string | undefined): DomainError {
  const hint =
    meant === undefined
      ? `Paths follow the base URL ${baseUrl}; ${baseUrl}/openapi.json lists the operations.`
      : `For \`${meant}\`, set your client's base URL to ${baseUrl}.`
  return new DomainError(404, 'bad_request', `There is no such operation. ${hint}`, { type: 'not_found' })
}

/** Why a request is not even looked at; undefined where nothing is wrong with its head. */
export function refusalOf({ headers, httpVersion, url }: IncomingMessage): DomainError | undefined {
  if (headers.host === undefined && httpVersion === '1.1') {
    return badRequest('A request of HTTP/1.1 needs a Host header.', 'Host')
  }
  if (headers.expect !== undefined && !CONTINUE.test(headers.expect)) {
    const message = 'Of what a client may expect, only `100-continue` is met.'
    return new DomainError(417, 'bad_request', message, { type: 'expectation_failed', param: 'Expect' })
  }
  return url?.startsWith('/') === true ? undefined : badRequest('The target of the request must be a path.')
}
