import { expect, test } from '@jest/globals'
import { DomainError } from '../../../../domain/core/errors.ts'
import { asObjectFailure } from '../../../../domain/tenancy/storage/object-failures.ts'
import { ObjectStoreError, type ObjectErrorCode } from '../../../../infra/objects/store.ts'
import { refusalOf, thrownBy } from '../../fixtures.ts'

const translated = (error: unknown) => thrownBy(() => asObjectFailure('picture', 'picture_id')(error))

test.each<[ObjectErrorCode, number, string | undefined]>([
  ['ObjectNotFound', 404, 'picture_id'],
  ['PreconditionFailed', 412, 'picture_id'],
  ['RangeNotSatisfiable', 416, 'Range'],
  ['InvalidObjectKey', 400, 'picture_id'],
  ['InvalidContentType', 400, 'Content-Type'],
  ['InvalidPart', 400, 'parts'],
  ['UploadNotFound', 404, 'picture_id'],
])('%s is a %i of the object that was asked for', (code, status, param) => {
  const error = translated(new ObjectStoreError(code, 'of the inside'))
  expect(error).toBeInstanceOf(DomainError)
  expect(refusalOf(error)).toMatchObject({ status, param })
  expect((error as Error).message).not.toMatch(/inside|file/)
})

test.each([
  ['a store that does not answer', new ObjectStoreError('Unavailable', 'x')],
  ['a fault', new TypeError('x')],
])('%s stays what it is', (_, error) => expect(() => asObjectFailure('picture', 'picture_id')(error)).toThrow(error))
