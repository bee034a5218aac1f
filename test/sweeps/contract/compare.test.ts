import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { compareContract, type OpenApiDocument } from './compare.ts'
import { canonicalText } from './normal-schema.ts'

const contract = JSON.parse(readFileSync(new URL('./contract.json', import.meta.url), 'utf8')) as OpenApiDocument

const thing = { type: 'object', required: ['id'], properties: { id: { type: 'string' }, size: { type: 'integer' } } }
const small: OpenApiDocument = {
  paths: {
    '/things': {
      get: {
        security: [{ ApiKey: [] }],
        parameters: [{ name: 'limit', in: 'query', schema: { type: 'integer', maximum: 100 } }],
        responses: {
          '200': { content: { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } } },
          '404': {},
        },
      },
    },
    '/public': { get: { responses: { '200': {} } } },
  },
  components: { schemas: { Thing: thing } },
}

/** A copy of the small contract, changed. */
function changed(change: (document: OpenApiDocument, things: Things) => void): OpenApiDocument {
  const document = structuredClone(small)
  const things = document.paths['/things']?.get
  if (things === undefined) throw new Error('no GET /things')
  change(document, things)
  return document
}
type Things = NonNullable<OpenApiDocument['paths'][string]['get']>

describe('the contract compared with itself', () => {
  test('has no differences', () => {
    expect(compareContract(contract, contract)).toEqual([])
    expect(Object.keys(contract.paths).length).toBeGreaterThan(100)
  })

  test('all is missing where nothing is served, and nothing with servedOnly', () => {
    const nothing = { paths: {} }
    expect(compareContract(nothing, small)).toEqual([
      'GET /things: missing',
      'GET /public: missing',
      'schema Thing: missing',
    ])
    expect(compareContract(nothing, small, { servedOnly: true })).toEqual([])
  })
})

describe('what a served document may not do', () => {
  const limit = { name: 'limit', in: 'query', schema: { type: 'integer', maximum: 100 } }
  test.each<[string, (document: OpenApiDocument, things: Things) => void, string]>([
    [
      'lack a response',
      (_, things) => (things.responses = { '200': small.paths['/things']?.get?.responses?.['200'] ?? {} }),
      'response 404 missing',
    ],
    [
      'lack a media type',
      (_, things) => (things.responses = { '200': {}, '404': {} }),
      'response 200 application/json missing',
    ],
    [
      'change a schema',
      document => (document.components = { schemas: { Thing: { ...thing, properties: { id: { type: 'integer' } } } } }),
      'schema Thing: schema differs',
    ],
    [
      'require another property',
      document => (document.components = { schemas: { Thing: { ...thing, required: ['id', 'size'] } } }),
      'schema Thing: schema differs',
    ],
    ['lack a parameter', (_, things) => (things.parameters = []), 'parameter query limit missing'],
    [
      'require a parameter that was optional',
      (_, things) => (things.parameters = [{ ...limit, required: true }]),
      'parameter limit: required differs',
    ],
    [
      'change the schema of a parameter',
      (_, things) => (things.parameters = [{ ...limit, schema: { type: 'string' } }]),
      'parameter limit: schema differs',
    ],
    [
      'add a required parameter',
      (_, things) => (things.parameters = [limit, { name: 'x-tenant', in: 'header', required: true }]),
      'adds the required parameter x-tenant',
    ],
    ['lack a security scheme', (_, things) => (things.security = [{ Bearer: [] }]), 'security ApiKey missing'],
    [
      'ask for a key where none was needed',
      document =>
        (document.paths = {
          ...document.paths,
          '/public': { get: { security: [{ ApiKey: [] }], responses: { '200': {} } } },
        }),
      'is public in the contract',
    ],
  ])('%s', (_, change, difference) => {
    const differences = compareContract(changed(change), small)
    expect(differences).toEqual(expect.arrayContaining([expect.stringContaining(difference)]))
  })
})

describe('what a served document may do', () => {
  test('add operations, optional parameters, responses and prose', () => {
    const served = changed((document, things) => {
      document.paths = { ...document.paths, '/more': { get: { responses: {} } } }
      things.parameters?.push({ name: 'after', in: 'query', schema: { type: 'string' } })
      things.responses = { ...things.responses, '429': {} }
      document.components = { schemas: { Thing: { ...thing, description: 'A thing.' }, Other: {} } }
    })
    expect(compareContract(served, small)).toEqual([])
  })

  test('let a key be optional on a public operation', () => {
    const publicWithKey = { get: { security: [{}, { ApiKey: [] }], responses: { '200': {} } } }
    const served = changed(document => (document.paths = { ...document.paths, '/public': publicWithKey }))
    expect(compareContract(served, small)).toEqual([])
  })
})

describe('spellings of one schema', () => {
  const text = { type: 'string' }
  const nothing = { type: 'null' }
  const reference = { $ref: '#/components/schemas/Thing' }
  test.each<[string, unknown, unknown]>([
    ['nullable, a union with null', { ...text, nullable: true }, { anyOf: [text, nothing] }],
    ['nullable, a list of types', { ...text, nullable: true }, { type: ['null', 'string'] }],
    ['a nullable enum', { ...text, enum: ['a'], nullable: true }, { anyOf: [{ enum: ['a'] }, nothing] }],
    ['a nullable reference', { oneOf: [reference], nullable: true }, { anyOf: [reference, nothing] }],
    ['consts, an enum', { oneOf: [{ const: 'b' }, { const: 'a' }] }, { ...text, enum: ['a', 'b'] }],
    ['a union in a union', { anyOf: [{ anyOf: [text, reference] }, nothing] }, { anyOf: [nothing, reference, text] }],
    ['nothing required', { type: 'object', required: [] }, { type: 'object' }],
    ['anything more allowed', { type: 'object', additionalProperties: true }, { type: 'object' }],
    ['anything', true, { title: 'Anything', 'x-order': 1 }],
  ])('%s', (_, one, other) => {
    expect(canonicalText(one)).toBe(canonicalText(other))
  })

  test.each<[string, unknown, unknown]>([
    ['another type', text, { type: 'integer' }],
    ['another format', { ...text, format: 'uri' }, text],
    ['null added', text, { ...text, nullable: true }],
    ['closed and open', { type: 'object', additionalProperties: false }, { type: 'object' }],
    ['a property named as prose is', { properties: { title: text } }, { properties: {} }],
    ['another reference', reference, { $ref: '#/components/schemas/Other' }],
  ])('not the same: %s', (_, one, other) => {
    expect(canonicalText(one)).not.toBe(canonicalText(other))
  })
})
