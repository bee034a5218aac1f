import { describe, expect, test } from '@jest/globals'
import { Type } from 'typebox'
import { readTexts } from '../../../api/http/takes/texts.ts'
import { Limit } from '../../../domain/core/schemas.schema.ts'
import { requireValid } from '../../../domain/core/validation.rules.ts'
import { refusalOf, thrownBy } from '../fixtures.ts'

const Query = Type.Object({
  limit: Type.Optional(Limit(100)),
  rate: Type.Optional(Type.Number({ minimum: 0 })),
  flag: Type.Optional(Type.Boolean()),
  text: Type.Optional(Type.String({ minLength: 1 })),
  kind: Type.Optional(Type.Enum(['chat', 'batch'])),
})

test.each<[string, Record<string, string>, object]>([
  ['nothing', {}, {}],
  ['a whole number', { limit: '7' }, { limit: 7 }],
  ['a number', { rate: '0.5' }, { rate: 0.5 }],
  ['a number without a fraction', { rate: '3' }, { rate: 3 }],
  ['true', { flag: 'true' }, { flag: true }],
  ['1 for true', { flag: '1' }, { flag: true }],
  ['false', { flag: 'false' }, { flag: false }],
  ['0 for false', { flag: '0' }, { flag: false }],
  ['digits as a text', { text: '007' }, { text: '007' }],
  ['one of a few', { kind: 'batch' }, { kind: 'batch' }],
  ['names that are not known', { other: 'x', constructor: 'y' }, {}],
])('reads %s', (_what, given, values) => {
  expect(readTexts(Query, given)).toEqual(values)
  expect(() => requireValid(Query, readTexts(Query, given))).not.toThrow()
})

describe('refuses with a 400 that names the parameter', () => {
  test.each<[string, Record<string, string | string[]>, string]>([
    ['a word for a number', { limit: 'many' }, 'limit'],
    ['an empty number', { limit: '' }, 'limit'],
    ['a fraction for a whole number', { limit: '1.5' }, 'limit'],
    ['an exponent', { limit: '1e2' }, 'limit'],
    ['a hexadecimal', { limit: '0x10' }, 'limit'],
    ['zero', { limit: '0' }, 'limit'],
    ['a negative number', { limit: '-1' }, 'limit'],
    ['more than the most', { limit: '101' }, 'limit'],
    ['a huge number', { limit: '9'.repeat(40) }, 'limit'],
    ['white space before a number', { limit: ' 7' }, 'limit'],
    ['infinity', { rate: 'Infinity' }, 'rate'],
    ['a negative rate', { rate: '-0.5' }, 'rate'],
    ['yes', { flag: 'yes' }, 'flag'],
    ['TRUE', { flag: 'TRUE' }, 'flag'],
    ['an empty text', { text: '' }, 'text'],
    ['another kind', { kind: 'cron' }, 'kind'],
    ['a NUL', { text: 'a\0b' }, 'text'],
    ['a parameter twice', { limit: ['1', '2'] }, 'limit'],
  ])('%s', (_what, given, param) => {
    const error = thrownBy(() => requireValid(Query, readTexts(Query, given)))
    expect(refusalOf(error)).toMatchObject({ status: 400, code: 'bad_request', param })
  })
})
