import { Type, type Static } from 'typebox'
import { Provider } from '../catalog/catalog.schema.ts'
import { faces } from '../../core/schemas.schema.ts'

export const ProviderCredentialView = Type.Object(
  {
    id: Type.String(),
    provider: Provider,
    label: Type.String(),
    masked_key: Type.String(),
    enabled: Type.Boolean(),
    health: Type.Optional(Type.Enum(['disabled', 'error', 'healthy', 'untested'])),
    last_error: Type.Optional(Type.String()),
    last_tested_at: Type.Optional(Type.Integer()),
    last_used_at: Type.Optional(Type.Integer()),
  },
  { $id: 'ProviderCredentialView', additionalProperties: false },
)
export type ProviderCredentialView = Static<typeof ProviderCredentialView>

export const ProviderCredentialList = Type.Array(ProviderCredentialView, { $id: 'ProviderCredentialList' })

/** As it can stand in a header: visible ASCII. */
const ApiKey = faces(
  Type.String({ format: 'password' }),
  Type.String({ minLength: 8, maxLength: 1_024, pattern: '^[\\x21-\\x7e]+$' }),
)
const Label = faces(
  Type.String(),
  Type.String({
    minLength: 1,
    maxLength: 200,
    pattern: '^[^\\u0000-\\u001f\\u007f]*[^\\u0000-\\u0020\\u007f][^\\u0000-\\u001f\\u007f]*$',
  }),
)
const BaseUrl = (description: string) =>
  faces(
    Type.Unsafe({ type: ['string', 'null'], format: 'uri', description }),
    Type.Union([Type.String({ minLength: 1, maxLength: 2_048 }), Type.Null()]),
  )

export const ProviderCredentialCreateRequest = Type.Object(
  {
    provider: Provider,
    label: Label,
    api_key: ApiKey,
    base_url: Type.Optional(
      BaseUrl(
        'Optional HTTPS base URL for OpenAI-compatible provider endpoints. `/chat/completions` and the like are appended.',
      ),
    ),
  },
  { $id: 'ProviderCredentialCreateRequest', additionalProperties: false },
)
export type ProviderCredentialCreateRequest = Static<typeof ProviderCredentialCreateRequest>

export const ProviderCredentialPatchRequest = Type.Object(
  {
    label: Type.Optional(Label),
    api_key: Type.Optional(ApiKey),
    base_url: Type.Optional(
      BaseUrl('Set to null to clear the stored base URL. A change drops the stored key unless `api_key` comes along.'),
    ),
    enabled: Type.Optional(Type.Boolean()),
  },
  { $id: 'ProviderCredentialPatchRequest', additionalProperties: false },
)
export type ProviderCredentialPatchRequest = Static<typeof ProviderCredentialPatchRequest>

export const ProviderCredentialTestResponse = Type.Object(
  { ok: Type.Boolean(), message: Type.String(), credential: ProviderCredentialView },
  { $id: 'ProviderCredentialTestResponse', additionalProperties: false },
)
export type ProviderCredentialTestResponse = Static<typeof ProviderCredentialTestResponse>

export const CredentialParams = Type.Object({ credential_id: Type.String() })
