import { createHash } from 'node:crypto'

/** What is stored of a secret that is random itself (32 bytes or more): there is nothing to try out. */
export const sha256 = (secret: string): Buffer => createHash('sha256').update(secret).digest()
