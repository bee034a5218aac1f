import {
  CredentialParams,
  ProviderCredentialCreateRequest,
  ProviderCredentialList,
  ProviderCredentialPatchRequest,
  ProviderCredentialTestResponse,
  ProviderCredentialView,
} from '../../../domain/inference/provider-credentials/credential.schema.ts'
import {
  createCredential,
  deleteCredential,
  listCredentials,
  updateCredential,
} from '../../../domain/inference/provider-credentials/credential.service.ts'
import { testCredential } from '../../../domain/inference/provider-credentials/credential-test.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const NOT_FOUND = { 404: 'There is no such credential' }
const NOT_YOURS = { ...NOT_FOUND, 403: 'It belongs to the whole account, and the API key to a project' }

export const credentialRoutes = [
  route({
    method: 'GET',
    path: '/account/provider-credentials',
    auth: 'apiKey',
    summary: 'List your own keys at model providers, the newest first',
    description: 'Keys are shown masked. An API key of a project sees its own credentials and those of the account.',
    gives: json(ProviderCredentialList),
    handle: ({ caller }, deps) => listCredentials(deps, caller),
  }),
  route({
    method: 'POST',
    path: '/account/provider-credentials',
    auth: 'apiKey',
    summary: 'Keep your own key at a model provider',
    description:
      'The key is sealed at rest and never shown again. Made with an API key of a project, the credential is for that ' +
      'project; else for the whole account. Calls over your own key cost no credit.',
    takes: json(ProviderCredentialCreateRequest),
    gives: json(ProviderCredentialView),
    handle: ({ caller, body }, deps) => createCredential(deps, caller, body),
  }),
  route({
    method: 'PATCH',
    path: '/account/provider-credentials/{credential_id}',
    auth: 'apiKey',
    summary: 'Change a provider credential',
    description:
      'What is not named stays. A key is never sent to another address than it was given for: changing `base_url` ' +
      'without an `api_key` drops the stored key, and the credential is not used until it has one again.',
    params: CredentialParams,
    takes: json(ProviderCredentialPatchRequest),
    gives: json(ProviderCredentialView),
    errors: NOT_YOURS,
    handle: ({ caller, params, body }, deps) => updateCredential(deps, caller, params.credential_id, body),
  }),
  route({
    method: 'DELETE',
    path: '/account/provider-credentials/{credential_id}',
    auth: 'apiKey',
    summary: 'Delete a provider credential and its key',
    params: CredentialParams,
    gives: json(ProviderCredentialView),
    errors: NOT_YOURS,
    handle: ({ caller, params }, deps) => deleteCredential(deps, caller, params.credential_id),
  }),
  route({
    method: 'POST',
    path: '/account/provider-credentials/{credential_id}/test',
    auth: 'apiKey',
    summary: 'Test a provider credential with a call that costs nothing',
    params: CredentialParams,
    gives: json(ProviderCredentialTestResponse),
    errors: NOT_FOUND,
    handle: ({ caller, params, signal }, deps) => testCredential(deps, caller, params.credential_id, signal),
  }),
]
