import { PassThrough, Transform, type Readable } from 'node:stream'
import { DomainError } from '../../../domain/core/errors.ts'

/** The bytes as they come; destroyed with a 413 naming the limit where there are more. */
export function boundedBytes(mostBytes: number, param?: string): Transform {
  let taken = 0
  return new Transform({
    transform(part: Buffer, _encoding, done) {
      taken += part.length
      if (taken > mostBytes) done(tooLarge(mostBytes, param))
      else done(null, part)
    },
  })
}

/** Errors: 413, where a request says that its body is larger. */
export function requireLength(contentLength: string | undefined, mostBytes: number): void {
  if (Number(contentLength ?? 0) > mostBytes) throw tooLarge(mostBytes)
}

/** Whoever fails to read these bytes destroys them, and not the request, which is still to be answered. */
export function detached(request: Readable, body: Transform = new PassThrough()): Readable {
  request.on('error', error => void body.destroy(error))
  request.on('close', () => request.readableEnded || body.destroy(new Error('the upload broke off')))
  body.once('close', () => request.unpipe(body))
  // It may break off before its reader listens, who finds it destroyed then.
  body.on('error', () => undefined)
  return request.pipe(body)
}

const tooLarge = (mostBytes: number, param?: string): DomainError =>
  new DomainError(413, 'bad_request', `At most ${mostBytes} bytes are taken.`, {
    type: 'payload_too_large',
    ...(param === undefined ? {} : { param }),
  })
