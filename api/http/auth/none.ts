import type { AnonymousPrincipal } from './principal.ts'
import type { Way } from './way.ts'

const ANONYMOUS: AnonymousPrincipal = { kind: 'anonymous' }

/** Whoever comes. */
export const noneWay: Way<AnonymousPrincipal> = { schemes: {}, needs: 'nothing', enter: () => ANONYMOUS }
