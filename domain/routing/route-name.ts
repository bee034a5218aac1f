import type { Route } from '../catalog/catalog.ts'

/** A route as this process remembers what it has learnt of it: users' own keys are routes of their own. */
export const nameOfRoute = ({ upstream, model, credentialId }: Route): string =>
  `${upstream.id} ${model} ${credentialId ?? ''}`
