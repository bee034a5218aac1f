import type { ProviderCredentialView } from '../../domain/inference/provider-credentials/credential.schema.ts'
import type { ApiClient, ApiReply } from './client.ts'

export const CREDENTIALS = '/account/provider-credentials'

/** A sound request for a credential, but for the changes. */
export const credentialOf = (changes: object = {}) => ({
  provider: 'openai',
  label: 'test',
  api_key: 'sk-test-0123456789abcdef',
  ...changes,
})

/** Makes a credential. Errors: where it is refused. */
export async function newCredential(api: ApiClient, changes: object = {}): Promise<ProviderCredentialView> {
  const reply = await api.post<ProviderCredentialView>(CREDENTIALS, credentialOf(changes))
  if (reply.status !== 200) throw new Error(`the credential was refused: ${reply.text}`)
  return reply.body
}

export const patchCredential = (api: ApiClient, id: string, patch: object): Promise<ApiReply> =>
  api.send('PATCH', `${CREDENTIALS}/${id}`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(patch),
  })
