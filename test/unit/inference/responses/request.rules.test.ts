import { expect, test } from '@jest/globals'
import { requireSettings } from '../../../../domain/inference/responses/request.rules.ts'
import { refusalOf, thrownBy } from '../../fixtures.ts'

test.each<[string, object, string]>([
  ['long instructions', { instructions: 'x'.repeat(1024 * 1024 + 1) }, 'instructions'],
  ['long instructions in parts', { instructions: [{ content: 'x'.repeat(1024 * 1024) }] }, 'instructions'],
  ['a long text in metadata', { metadata: { a: 'x'.repeat(16_384) } }, 'metadata'],
  ['a long name in metadata', { metadata: { ['x'.repeat(16_384)]: 1 } }, 'metadata'],
  ['many numbers in metadata', { metadata: { a: Array.from({ length: 5_000 }, () => 1) } }, 'metadata'],
  [
    'many fields in metadata',
    { metadata: Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [i, i])) },
    'metadata',
  ],
])('%s are refused', (_what, request, param) => {
  expect(refusalOf(thrownBy(() => requireSettings(request)))).toMatchObject({ status: 400, param })
})

test.each<[string, object]>([
  ['nothing', {}],
  ['nulls', { instructions: null, metadata: null }],
  ['as much as there may be', { instructions: 'x'.repeat(1024 * 1024), metadata: { a: 'x'.repeat(16_000) } }],
])('%s is taken', (_what, request) => {
  expect(() => requireSettings(request)).not.toThrow()
})
