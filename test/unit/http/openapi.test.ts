import { describe, expect, test } from '@jest/globals'
import { Type } from 'typebox'
import { openApiDocument } from '../../../api/http/openapi.ts'
import { bytes, events } from '../../../api/http/gives/gives.ts'
import { route, type AnyRoute } from '../../../api/http/route.ts'
import { form, json, raw } from '../../../api/http/takes/takes.ts'
import { faces, Limit, nullableString, OpenEnum } from '../../../domain/core/schemas.schema.ts'

const Part = Type.Object({ size: Type.Integer() }, { $id: 'Part', additionalProperties: false })
const Thing = Type.Object(
  {
    name: OpenEnum(['a', 'b']),
    note: Type.Optional(nullableString()),
    parts: Type.Array(Part),
    mode: Type.Optional(Type.Enum(['x'], { default: 'x' })),
  },
  { $id: 'Thing' },
)
const Id = Type.Object({ id: Type.String({ description: 'The id' }) })
const none = () => Promise.reject(new Error('not called'))

const routes: AnyRoute[] = [
  route({
    method: 'GET',
    path: '/things/{id}',
    auth: 'none',
    summary: 'Get',
    params: Id,
    query: Type.Object({ limit: Type.Optional(Limit(5)) }),
    gives: json(Thing),
    handle: none,
  }),
  route({
    method: 'DELETE',
    path: '/things/{id}',
    auth: 'apiKey',
    summary: 'Delete',
    params: Id,
    status: 204,
    errors: { 404: 'None' },
    handle: none,
  }),
  route({
    method: 'POST',
    path: '/things',
    auth: ['apiKey', 'none'],
    summary: 'Make',
    description: 'Long',
    takes: json(Thing),
    gives: [json(Part), events()],
    streams: () => false,
    handle: none,
  }),
  route({
    method: 'GET',
    path: '/bytes',
    auth: 'apiKey',
    summary: 'Bytes',
    gives: bytes({ 'text/csv': Type.String() }),
    handle: none,
  }),
  route({
    method: 'POST',
    path: '/bytes',
    auth: 'apiKey',
    summary: 'Upload',
    headers: Type.Object({ 'Idempotency-Key': Type.String() }),
    takes: [
      raw({ types: ['application/octet-stream', 'text/plain'], mostBytes: 10 }),
      form({ fields: Type.Object({ note: Type.String() }), files: { file: { mostBytes: 10 } } }),
    ],
    handle: none,
  }),
]

// As it is served.
const document = JSON.parse(JSON.stringify(openApiDocument(routes)))
const { paths, components } = document

describe('faces', () => {
  test.each<[string, unknown, unknown]>([
    ['launch values', components.schemas.Thing.properties.name, { enum: ['a', 'b'] }],
    ['what may be null', components.schemas.Thing.properties.note, { type: 'string', nullable: true }],
    ['a page size', paths['/things/{id}'].get.parameters[1].schema, { type: 'integer' }],
    ['a default', components.schemas.Thing.properties.mode, { enum: ['x'], default: 'x' }],
  ])('%s are documented as the contract has them', (_what, documented, expected) => {
    expect(documented).toEqual(expected)
  })

  test('of a face of a face, the outermost is documented', () => {
    const both = faces(faces(Type.Number(), Type.Integer()), Type.String())
    const body = Type.Object({ both })
    const made = openApiDocument([
      route({ method: 'POST', path: '/x', auth: 'none', summary: 'x', takes: json(body), handle: none }),
    ])
    expect(JSON.stringify(made)).toContain('"both":{"type":"number"}')
  })

  test('leave no trace of what is checked', () => {
    expect(JSON.stringify(document)).not.toMatch(/x-documented|maxLength|"\$id"|maximum/)
  })
})

describe('components', () => {
  test('are the schemas with a name, each once, referred to elsewhere', () => {
    expect(Object.keys(components.schemas).sort()).toEqual(['Error', 'Part', 'Thing'])
    expect(components.schemas.Part).toEqual({
      type: 'object',
      properties: { size: { type: 'integer' } },
      required: ['size'],
      additionalProperties: false,
    })
    expect(components.schemas.Thing.properties.parts).toEqual({
      type: 'array',
      items: { $ref: '#/components/schemas/Part' },
    })
    expect(components.schemas.Thing.required).toEqual(['name', 'parts'])
  })

  test('every reference has its component', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
      match => match[1],
    )
    expect(references.length).toBeGreaterThan(5)
    for (const name of references) expect(components.schemas).toHaveProperty(name ?? '')
  })
})

describe('operations', () => {
  test('of a path are together', () => {
    expect(Object.keys(paths)).toEqual(['/things/{id}', '/things', '/bytes'])
    expect(Object.keys(paths['/things/{id}'])).toEqual(['get', 'delete'])
  })

  test('have their parameters with a description of their own', () => {
    expect(paths['/things/{id}'].get.parameters).toEqual([
      { name: 'id', in: 'path', required: true, description: 'The id', schema: { type: 'string' } },
      { name: 'limit', in: 'query', required: false, schema: { type: 'integer' } },
    ])
    expect(paths['/bytes'].post.parameters[0]).toMatchObject({ name: 'Idempotency-Key', in: 'header', required: true })
  })

  test.each<[string, unknown, unknown]>([
    ['none', paths['/things/{id}'].get.security, undefined],
    ['optional', paths['/things'].post.security, [{}, { ApiKey: [] }, { BearerApiKey: [] }]],
    ['a key', paths['/bytes'].get.security, [{ ApiKey: [] }, { BearerApiKey: [] }]],
  ])('say what authentication they need: %s', (_what, security, expected) => {
    expect(security).toEqual(expected)
  })

  test.each<[string, unknown, string[]]>([
    ['JSON', paths['/things/{id}'].get.responses['200'].content, ['application/json']],
    ['JSON or events', paths['/things'].post.responses['200'].content, ['application/json', 'text/event-stream']],
    ['bytes', paths['/bytes'].get.responses['200'].content, ['text/csv']],
    ['errors', paths['/bytes'].get.responses['429'].content, ['application/json']],
    ['an upload', paths['/bytes'].post.requestBody.content, ['application/octet-stream', 'multipart/form-data']],
    ['a body', paths['/things'].post.requestBody.content, ['application/json']],
  ])('have content of their types: %s', (_what, content, types) => {
    expect(Object.keys(content as object)).toEqual(types)
  })

  test('have their own status and errors beside the common ones', () => {
    const { responses } = paths['/things/{id}'].delete
    expect(Object.keys(responses)).toEqual(['204', '400', '401', '402', '404', '409', '429', '503'].sort())
    expect(responses['204']).toEqual({ description: 'Done' })
    expect(responses['404'].description).toBe('None')
  })
})
