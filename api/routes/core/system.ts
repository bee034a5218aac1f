import { anyObject } from '../../../domain/core/schemas.schema.ts'
import { openApiDocument } from '../../http/openapi.ts'
import { route, type AnyRoute } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const OpenApiDocument = anyObject({
  $id: 'OpenApiDocument',
  additionalProperties: true,
  description: 'The OpenAPI 3.1 document of this API.',
})

/** The operations that speak of the API itself; the document also holds its own operation. */
export function systemRoutes(others: readonly AnyRoute[]): AnyRoute[] {
  const document = { made: undefined as Record<string, unknown> | undefined }
  const own: AnyRoute = route({
    method: 'GET',
    path: '/openapi.json',
    auth: 'none',
    summary: 'Read the OpenAPI document of this API',
    gives: json(OpenApiDocument),
    handle: () => (document.made ??= openApiDocument([...others, own])),
  })
  return [own]
}
