import type { Provider } from '../catalog/catalog.schema.ts'

/** Where a provider is reached unless the credential says otherwise, and the format it speaks. */
export const PROVIDERS: Record<Provider, { baseUrl: string; wire: 'openai' | 'anthropic'; promptCaching: boolean }> = {
  openai: { baseUrl: 'https://api.openai.com/v1', wire: 'openai', promptCaching: true },
  anthropic: { baseUrl: 'https://api.anthropic.com/v1', wire: 'anthropic', promptCaching: true },
  // It caches by itself, and takes no hints.
  deepseek: { baseUrl: 'https://api.deepseek.com', wire: 'openai', promptCaching: false },
}

const LEAST_MASKABLE = 20

/** The ends of a key, to tell it from others; nothing of one so short that its ends would give it away. */
export const maskedKey = (key: string): string =>
  key.length < LEAST_MASKABLE ? '…' : `${key.slice(0, 3)}…${key.slice(-4)}`

export type KeyChange = 'keep' | 'drop' | 'replace'

/** A key is never sent to another address than it was given for. */
export function keyChange(
  baseUrl: string | null,
  patch: { baseUrl: string | null | undefined; apiKey: string | undefined },
): KeyChange {
  if (patch.apiKey !== undefined) return 'replace'
  return patch.baseUrl === undefined || patch.baseUrl === baseUrl ? 'keep' : 'drop'
}

/** A failure as far as it may be kept: an upstream can put anything into its words, so only a known form passes. */
export interface ProviderFailure {
  kind: string
  status?: number | undefined
  code?: string | undefined
}

const CODE_FORM = /^[a-z]{1,30}(_[a-z]{1,30}){0,5}$/

/** Such as `refused (401 invalid_api_key)`. */
export function lastErrorOf({ kind, status, code }: ProviderFailure): string {
  const facts = [status, code !== undefined && CODE_FORM.test(code) ? code : undefined].filter(
    fact => fact !== undefined,
  )
  return facts.length === 0 ? kind : `${kind} (${facts.join(' ')})`
}

const SENTENCES: Record<string, string> = {
  refused: 'The provider refused the key',
  rate_limited: 'The provider limits this key right now',
  unknown_model: 'There is no list of models at this address',
  rejected: 'The provider rejected the request',
  timeout: 'The provider did not answer in time',
}

/** What a test found, for the person who asked. */
export function testMessage(failure: ProviderFailure | undefined): string {
  if (failure === undefined) return 'The provider accepted the key.'
  return `${SENTENCES[failure.kind] ?? 'The provider could not be reached'}: ${lastErrorOf(failure)}.`
}

export const NO_KEY = 'There is no key, since base_url was changed without one: send api_key to use this credential.'
export const UNOPENABLE = 'The stored key cannot be opened any more: send api_key again.'
