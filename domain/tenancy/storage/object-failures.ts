import { ObjectStoreError, type ObjectErrorCode } from '../../../infra/objects/store.ts'
import { badRequest, DomainError, notFound, RangeNotSatisfiable } from '../../core/errors.ts'

/** What an object is to whoever asked for it, and the field that named it. */
interface ObjectName {
  what: string
  param: string
}

type Translation = (name: ObjectName) => DomainError

/** Each failure of a store that tells something of the request. That it does not answer is no such failure. */
const TRANSLATIONS: Record<Exclude<ObjectErrorCode, 'Unavailable'>, Translation> = {
  ObjectNotFound: ({ what, param }) => notFound(what, param),
  PreconditionFailed: ({ what, param }) =>
    new DomainError(412, 'bad_request', `The ${what} is not as the condition says.`, {
      type: 'precondition_failed',
      param,
    }),
  RangeNotSatisfiable: () => new RangeNotSatisfiable(),
  InvalidObjectKey: ({ what, param }) => badRequest(`The name of the ${what} cannot be kept.`, param),
  InvalidContentType: () => badRequest('A content type is 1 to 255 printable ASCII characters.', 'Content-Type'),
  InvalidPart: ({ what }) =>
    badRequest(`The parts of the ${what} are not as they were uploaded.`, 'parts', 'invalid_part'),
  UploadNotFound: ({ param }) =>
    new DomainError(404, 'bad_request', 'There is no such upload.', { type: 'upload_not_found', param }),
}

/** Throws what a failure of the object store means to the caller; any other error as it is. For a `catch`. */
export function asObjectFailure(what: string, param: string): (error: unknown) => never {
  return error => {
    if (!(error instanceof ObjectStoreError) || error.code === 'Unavailable') throw error
    throw TRANSLATIONS[error.code]({ what, param })
  }
}
