import { canonicalText } from './normal-schema.ts'

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head'] as const
const SHOWN_CHARACTERS = 400

type Content = Readonly<Record<string, { schema?: unknown }>>
type Parameter = { name: string; in: string; required?: boolean; schema?: unknown }
type Operation = {
  parameters?: Parameter[]
  security?: Record<string, string[]>[]
  requestBody?: { content?: Content }
  responses?: Readonly<Record<string, { content?: Content }>>
}
type PathItem = { parameters?: Parameter[] } & { [method in (typeof METHODS)[number]]?: Operation }

/** What is read of an OpenAPI document. */
export type OpenApiDocument = {
  paths: Readonly<Record<string, PathItem>>
  components?: { schemas?: Readonly<Record<string, unknown>> }
}

/** An operation with the parameters of its path. */
type Endpoint = Operation & { where: string; parameters: Parameter[] }

/**
 * What a served OpenAPI document lacks or changes of the contract, a line each; none if it keeps it.
 * The served document may add operations, optional parameters, responses and prose.
 * With `servedOnly`, operations and schemas that are not served yet are passed over.
 */
export function compareContract(
  served: OpenApiDocument,
  contract: OpenApiDocument,
  { servedOnly = false }: { servedOnly?: boolean } = {},
): string[] {
  return [...compareOperations(served, contract, servedOnly), ...compareComponents(served, contract, servedOnly)]
}

function compareOperations(served: OpenApiDocument, contract: OpenApiDocument, servedOnly: boolean): string[] {
  const have = new Map(endpointsOf(served).map(endpoint => [endpoint.where, endpoint]))
  return endpointsOf(contract).flatMap(want => {
    const found = have.get(want.where)
    if (found === undefined) return servedOnly ? [] : [`${want.where}: missing`]
    return compareEndpoint(want, found).map(difference => `${want.where}${difference}`)
  })
}

function compareComponents(served: OpenApiDocument, contract: OpenApiDocument, servedOnly: boolean): string[] {
  const have = served.components?.schemas ?? {}
  return Object.entries(contract.components?.schemas ?? {}).flatMap(([name, schema]) => {
    if (have[name] === undefined) return servedOnly ? [] : [`schema ${name}: missing`]
    return compareSchema(schema, have[name]).map(difference => `schema ${name}${difference}`)
  })
}

function endpointsOf(document: OpenApiDocument): Endpoint[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.flatMap(method => {
      const operation = item[method]
      if (operation === undefined) return []
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])]
      return [{ ...operation, where: `${method.toUpperCase()} ${path}`, parameters }]
    }),
  )
}

function compareEndpoint(want: Endpoint, have: Endpoint): string[] {
  return [
    ...compareSecurity(want, have),
    ...compareParameters(want, have),
    ...compareContent('request', want.requestBody?.content, have.requestBody?.content),
    ...compareResponses(want, have),
  ]
}

/** Each scheme of the contract is served, and what is public stays public. */
function compareSecurity(want: Endpoint, have: Endpoint): string[] {
  const wanted = schemesOf(want)
  const served = schemesOf(have)
  const isOptional = have.security?.some(alternative => Object.keys(alternative).length === 0) ?? false
  if (wanted.length === 0 && served.length > 0 && !isOptional)
    return [': is public in the contract, needs a key as served']
  return wanted.filter(name => !served.includes(name)).map(name => `: security ${name} missing`)
}

function schemesOf({ security = [] }: Endpoint): string[] {
  return security.flatMap(alternative => Object.keys(alternative))
}

function compareParameters(want: Endpoint, have: Endpoint): string[] {
  const changed = want.parameters.flatMap(parameter => {
    const found = have.parameters.find(isSameParameter(parameter))
    if (found === undefined) return [`: parameter ${parameter.in} ${parameter.name} missing`]
    return compareParameter(parameter, found)
  })
  const added = have.parameters.filter(({ required, in: place }) => required === true && place !== 'path')
  const unknown = added.filter(parameter => !want.parameters.some(isSameParameter(parameter)))
  return [...changed, ...unknown.map(({ name }) => `: adds the required parameter ${name}`)]
}

function compareParameter(want: Parameter, have: Parameter): string[] {
  const isAsRequired = (want.required ?? false) === (have.required ?? false)
  const required = isAsRequired ? [] : [`: parameter ${want.name}: required differs`]
  const schema = compareSchema(want.schema, have.schema).map(difference => ` parameter ${want.name}${difference}`)
  return [...required, ...schema]
}

function isSameParameter(one: Parameter): (other: Parameter) => boolean {
  return other => one.in === other.in && one.name.toLowerCase() === other.name.toLowerCase()
}

function compareResponses(want: Endpoint, have: Endpoint): string[] {
  return Object.entries(want.responses ?? {}).flatMap(([status, response]) => {
    const found = have.responses?.[status]
    if (found === undefined) return [`: response ${status} missing`]
    return compareContent(`response ${status}`, response.content, found.content)
  })
}

function compareContent(what: string, want: Content = {}, have: Content = {}): string[] {
  return Object.entries(want).flatMap(([mediaType, { schema }]) => {
    const found = have[mediaType]
    if (found === undefined) return [`: ${what} ${mediaType} missing`]
    return compareSchema(schema, found.schema).map(difference => ` ${what} ${mediaType}${difference}`)
  })
}

function compareSchema(want: unknown, have: unknown): string[] {
  const wanted = canonicalText(want)
  const served = canonicalText(have)
  if (wanted === served) return []
  const [wantedPart, servedPart] = aroundDifference(wanted, served)
  return [`: schema differs\n    contract ${wantedPart}\n    served   ${servedPart}`]
}

/** The texts from shortly before their first difference on. */
function aroundDifference(one: string, other: string): [string, string] {
  let index = 0
  while (one[index] === other[index]) index++
  const start = Math.max(0, index - SHOWN_CHARACTERS / 2)
  return [one.slice(start, start + SHOWN_CHARACTERS), other.slice(start, start + SHOWN_CHARACTERS)]
}
