import { Value } from 'typebox/value'
import { apiClient } from './client.ts'

type Schema = Record<string, unknown>
type Content = Record<string, { schema: Schema }>

export interface ServedParameter {
  name: string
  in: 'path' | 'query' | 'header'
  required: boolean
  schema: Schema
}

export interface ServedOperation {
  method: string
  path: string
  summary?: string
  parameters: ServedParameter[]
  requestBody?: { content: Content }
  responses: Record<string, { content?: Content }>
  security?: object[]
}

export interface ServedDocument {
  operations: ServedOperation[]
  /** A schema with everything it refers to in place, in plain JSON Schema. */
  resolved(schema: Schema): Schema
  operation(method: string, path: string): ServedOperation
  /** What is wrong with a reply's body by the schema the document gives for it; nothing where it keeps it. */
  faults(method: string, path: string, status: number, body: unknown): string[]
}

/** The OpenAPI document as the API under test serves it. */
export async function servedDocument(): Promise<ServedDocument> {
  const { body } = await apiClient(undefined).get('/openapi.json')
  const components = body.components.schemas as Record<string, Schema>
  const operations = Object.entries(body.paths as Record<string, Record<string, Partial<ServedOperation>>>).flatMap(
    ([path, item]) =>
      Object.entries(item).map(
        ([method, operation]) =>
          ({ parameters: [], ...operation, method: method.toUpperCase(), path }) as unknown as ServedOperation,
      ),
  )
  const resolved = (schema: Schema) => resolve(schema, components) as Schema
  const operation = (method: string, path: string) => {
    const found = operations.find(one => one.method === method && one.path === path)
    if (found === undefined) throw new Error(`${method} ${path} is not served`)
    return found
  }
  return {
    operations,
    resolved,
    operation,
    faults: (method, path, status, value) => {
      const response = operation(method, path).responses[status]
      if (response === undefined) return [`${status} is not in the document`]
      const schema = response.content?.['application/json']?.schema
      if (schema === undefined) return value === undefined ? [] : ['a body where there is none in the document']
      return [...Value.Errors(resolved(schema), value)].map(error => `${error.instancePath} ${error.message}`)
    },
  }
}

function resolve(node: unknown, components: Record<string, Schema>): unknown {
  if (Array.isArray(node)) return node.map(item => resolve(item, components))
  if (typeof node !== 'object' || node === null) return node
  const { nullable, ...schema } = node as Schema
  if (typeof schema['$ref'] === 'string') return resolve(referred(schema['$ref'], components), components)
  const plain = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, resolve(value, components)]))
  return nullable === true ? { anyOf: [plain, { type: 'null' }] } : plain
}

function referred(reference: string, components: Record<string, Schema>): Schema {
  const schema = components[reference.replace('#/components/schemas/', '')]
  if (schema === undefined) throw new Error(`${reference} leads nowhere`)
  return schema
}
