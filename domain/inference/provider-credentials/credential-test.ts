import { UnopenableSecret } from '../../../infra/crypto/sealing.ts'
import type { Log } from '../../../infra/log.ts'
import { UpstreamFailure, type UpstreamProbe, type UpstreamSettings } from '../../../infra/upstreams/upstream.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { openKey, upstreamOf } from './credential-key.ts'
import { lastErrorOf, NO_KEY, testMessage, UNOPENABLE, type ProviderFailure } from './credential.rules.ts'
import type { ProviderCredentialTestResponse } from './credential.schema.ts'
import { credentialView, requireCredential, type CredentialDeps } from './credential.service.ts'
import { setTested, type CredentialRow } from './credential.sql.ts'

interface Deps extends Pick<CredentialDeps, 'db' | 'secrets'> {
  upstreams: UpstreamProbe
  log: Log
}

/**
 * Asks the provider for its list of models with the key, which costs nothing, and keeps what came of it: a state, a
 * status and a code. Errors: 404; UpstreamFailure `aborted` where the caller goes away, and then nothing is kept.
 */
export async function testCredential(
  deps: Deps,
  { owner }: Caller,
  credentialId: string,
  signal: AbortSignal,
): Promise<ProviderCredentialTestResponse> {
  const row = await requireCredential(deps.db, owner, credentialId)
  const apiKey = openedOrUndefined(deps, row)
  if (apiKey === undefined) {
    return { ok: false, message: row.sealed_key === null ? NO_KEY : UNOPENABLE, credential: credentialView(row) }
  }
  const upstream = upstreamOf({ provider: row.provider, apiKey, baseUrl: row.base_url })
  const failure = await probeFailure(deps, upstream, signal)
  const tested = await setTested(deps.db, owner, row, failure === undefined ? null : lastErrorOf(failure))
  const credential = credentialView(tested ?? (await requireCredential(deps.db, owner, credentialId)))
  return { ok: failure === undefined, message: testMessage(failure), credential }
}

function openedOrUndefined({ secrets, log }: Pick<Deps, 'secrets' | 'log'>, row: CredentialRow): string | undefined {
  try {
    return openKey(secrets, row)
  } catch (error) {
    if (!(error instanceof UnopenableSecret)) throw error
    log.error({ credentialId: row.id, err: error }, 'a stored key cannot be opened: look at SECRETS_KEY')
    return undefined
  }
}

async function probeFailure(
  deps: Pick<Deps, 'upstreams'>,
  upstream: UpstreamSettings,
  signal: AbortSignal,
): Promise<ProviderFailure | undefined> {
  try {
    await deps.upstreams.probe(upstream, signal)
    return undefined
  } catch (error) {
    if (!(error instanceof UpstreamFailure) || error.kind === 'aborted') throw error
    return error
  }
}
