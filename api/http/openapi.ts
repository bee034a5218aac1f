import type { TObject, TSchema } from 'typebox'
import { ErrorBody } from '../../domain/core/errors.schema.ts'
import { DOCUMENTED } from '../../domain/core/schemas.schema.ts'
import { wayOf } from './auth/ways.ts'
import type { GivesSpec } from './gives/gives.ts'
import type { AnyRoute } from './route.ts'
import { documentedType } from './takes/read-body.ts'
import type { TakesSpec } from './takes/takes.ts'

type Json = Record<string, unknown>

const COMMON_ERRORS: Record<number, string> = {
  400: 'The request is not valid; `param` names the field',
  401: 'The API key is missing or not valid',
  402: 'The account has too little credit',
  409: 'The model or capacity is not available now, or the request conflicts with the state of the resource',
  429: 'Too many requests; `Retry-After` says when to come again',
  503: 'Temporarily unavailable; `Retry-After` says when to come again',
}

/** The OpenAPI 3.1 document of the routes. Schemas with an `$id` become components of that name. */
export function openApiDocument(routes: readonly AnyRoute[]): Json {
  const components: Json = {}
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, components) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'IPOP',
      version: '1.0.0',
      description:
        'One API key in front of model calls and durable jobs. OpenAI-compatible where OpenAI has the operation.',
    },
    servers: [{ url: '/v1' }],
    paths,
    components: {
      schemas: components,
      securitySchemes: Object.assign({}, ...routes.flatMap(({ auth }) => auth.map(name => wayOf(name).schemes))),
    },
  }
}

function operation(route: AnyRoute, components: Json): Json {
  const parameters = [
    ...parametersOf('path', route.params, components),
    ...parametersOf('query', route.query, components),
    ...parametersOf('header', route.headers, components),
  ]
  const requestBody = requestBodyOf(route, components)
  return {
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: responsesOf(route, components),
    ...securityOf(route),
  }
}

/** One of these is enough; `{}` stands for nothing. */
function securityOf({ auth }: AnyRoute): Json {
  const alternatives = auth.flatMap(name => Object.keys(wayOf(name).schemes)).map(scheme => ({ [scheme]: [] }))
  if (alternatives.length === 0) return {}
  return { security: auth.includes('none') ? [{}, ...alternatives] : alternatives }
}

function parametersOf(where: string, schema: TObject | undefined, components: Json): Json[] {
  const required = new Set(schema?.required ?? [])
  return Object.entries(schema?.properties ?? {}).map(([name, property]) => {
    const { description, ...documented } = documentedSchema(property, components)
    return {
      name,
      in: where,
      required: required.has(name),
      ...(description === undefined ? {} : { description }),
      schema: documented,
    }
  })
}

const BINARY = { type: 'string', format: 'binary' } as TSchema

function requestBodyOf({ takes }: AnyRoute, components: Json): Json | undefined {
  if (takes.length === 0) return undefined
  const contents = Object.fromEntries(takes.map(spec => [documentedType(spec), takenSchema(spec)]))
  return { required: true, content: contentOf(contents, components) }
}

function takenSchema(spec: TakesSpec): TSchema {
  if (spec.kind === 'json') return spec.schema
  if (spec.kind === 'raw') return BINARY
  const files = Object.entries(spec.files)
  const needed = files.filter(([, { required = true }]) => required).map(([part]) => part)
  const fields = spec.fields as TSchema & { properties: object; required?: string[] }
  return {
    type: 'object',
    properties: {
      ...Object.fromEntries(files.map(([part, rule]) => [part, fileSchema(rule.most)])),
      ...fields.properties,
    },
    required: [...needed, ...(fields.required ?? [])],
  }
}

const fileSchema = (most = 1): object => (most === 1 ? BINARY : { type: 'array', items: BINARY, maxItems: most })

function responsesOf(route: AnyRoute, components: Json): Json {
  const error = contentOf({ 'application/json': ErrorBody }, components)
  const failures = Object.entries({ ...COMMON_ERRORS, ...route.errors }).map(([status, description]) => [
    status,
    { description, content: error },
  ])
  const contents = Object.assign({}, ...route.gives.map(givenSchemas)) as Record<string, TSchema>
  const success =
    route.gives.length === 0
      ? { description: 'Done' }
      : { description: 'Success', content: contentOf(contents, components) }
  return { [route.status]: success, ...Object.fromEntries(failures) }
}

function givenSchemas(spec: GivesSpec): Record<string, TSchema> {
  if (spec.kind === 'json') return { 'application/json': spec.schema }
  return spec.kind === 'bytes' ? spec.types : { 'text/event-stream': { type: 'string' } }
}

const contentOf = (contents: Record<string, TSchema>, components: Json): Json =>
  Object.fromEntries(
    Object.entries(contents).map(([type, schema]) => [type, { schema: documentedSchema(schema, components) }]),
  )

/** The documented face of a schema, its named parts moved into the components. */
function documentedSchema(schema: TSchema, components: Json): Json {
  const node = schema as Json
  const documented = node[DOCUMENTED]
  if (documented !== undefined) return documentedSchema(documented as TSchema, components)
  if (typeof node['$id'] !== 'string') return documentedChildren(node, components)
  const { $id: name, ...rest } = node
  if (components[name] === undefined) {
    components[name] = {}
    components[name] = documentedChildren(rest, components)
  }
  return { $ref: `#/components/schemas/${name}` }
}

function documentedChildren(node: Json, components: Json): Json {
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key,
      key === 'default' || key === 'enum' ? value : documentedValue(value, components),
    ]),
  )
}

function documentedValue(value: unknown, components: Json): unknown {
  if (Array.isArray(value)) return value.map(item => documentedValue(item, components))
  return typeof value === 'object' && value !== null ? documentedSchema(value, components) : value
}
