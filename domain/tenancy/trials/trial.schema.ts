import { Type, type Static } from 'typebox'
import { anyObject, faces, OpenEnum, Timestamp } from '../../core/schemas.schema.ts'

const ShortText = () => Type.String({ minLength: 1, maxLength: 256 })

export const VscodeTrialRequest = Type.Object(
  {
    extension_version: ShortText(),
    installation_id_hash: ShortText(),
    machine_id_hash: ShortText(),
    attribution: Type.Optional(anyObject({ additionalProperties: true })),
  },
  { $id: 'VscodeTrialRequest', additionalProperties: false },
)
export type VscodeTrialRequest = Static<typeof VscodeTrialRequest>

export const VscodeTrialResponse = Type.Object(
  {
    object: Type.Literal('vscode_trial'),
    trial_id: Type.String(),
    api_key: faces(Type.String({ format: 'password' }), Type.String()),
    project_name: Type.String(),
    key_id: Type.String(),
    allowed_models: Type.Array(OpenEnum(['ipop/coder-balanced'])),
    daily_request_limit: Type.Integer({ minimum: 1 }),
    expires_at: Timestamp,
    upgrade_url: Type.String({ format: 'uri' }),
  },
  { $id: 'VscodeTrialResponse', additionalProperties: false },
)
export type VscodeTrialResponse = Static<typeof VscodeTrialResponse>
