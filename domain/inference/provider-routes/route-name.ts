import type { ProviderRoute } from '../catalog/catalog.ts'

/** A route as this process remembers what it has learnt of it: users' own keys are routes of their own. */
export const nameOfRoute = ({ upstream, model, credentialId }: ProviderRoute): string =>
  `${upstream.id} ${model} ${credentialId ?? ''}`
