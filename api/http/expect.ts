import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Says `100 Continue` when the body is first read (RFC 9110 section 10.1.1): by then the key, the limits and the length
 * are known to be good. A request that is refused before is answered without its body having been sent.
 */
export function continueWhenRead(request: IncomingMessage, response: ServerResponse): void {
  const read = request._read.bind(request)
  request._read = size => {
    request._read = read
    if (!response.headersSent) response.writeContinue()
    read(size)
  }
}
