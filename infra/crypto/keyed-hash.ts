import { createHmac, hkdfSync } from 'node:crypto'

/**
 * HMAC-SHA256 (RFC 2104) under a key of its own, derived from the deployment's by its purpose (HKDF, RFC 5869): without
 * the key nobody can try which values were hashed. Values of different kinds never meet.
 */
export function createKeyedHash(secret: Buffer, purpose: string): (kind: string, value: string) => Buffer {
  const key = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), purpose, 32))
  return (kind, value) =>
    createHmac('sha256', key)
      .update(JSON.stringify([kind, value]))
      .digest()
}
