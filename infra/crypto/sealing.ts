import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/** A key that secrets are sealed with at rest. */
export interface SecretsKey {
  /** Stored beside what it seals, so that keys can be changed. */
  id: string
  /** 32. */
  bytes: Buffer
}

export interface Sealed {
  keyId: string
  /** Nonce (12 bytes), ciphertext, tag (16 bytes). */
  bytes: Buffer
}

/** Seals small secrets: AES-256-GCM (NIST SP 800-38D) with a random nonce each. */
export interface SecretBox {
  /** The key that seals from now on. */
  readonly keyId: string
  /** `context` names what the secret belongs to; it is bound to it, not stored in it. */
  seal(secret: string, context: readonly string[]): Sealed
  /** Errors: UnopenableSecret where the key is gone, the bytes were changed or the context is another. */
  open(sealed: Sealed, context: readonly string[]): string
}

/** The message tells the key's id alone. */
export class UnopenableSecret extends Error {
  override name = 'UnopenableSecret'
}

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** The first key seals, every one of them opens. */
export function createSecretBox(keys: readonly [SecretsKey, ...SecretsKey[]]): SecretBox {
  const [current] = keys
  const byId = new Map(keys.map(key => [key.id, key]))
  return {
    keyId: current.id,
    seal: (secret, context) => {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, current.bytes, nonce).setAAD(bytesOf(context))
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
      return { keyId: current.id, bytes: Buffer.concat([nonce, text, cipher.getAuthTag()]) }
    },
    open: ({ keyId, bytes }, context) => {
      const key = byId.get(keyId)
      if (key === undefined) throw new UnopenableSecret(`the secrets key ${keyId} is not among SECRETS_KEY`)
      try {
        return decrypt(key, bytes, context)
      } catch (error) {
        throw new UnopenableSecret(`what the secrets key ${keyId} sealed was changed, or is another's`, {
          cause: error,
        })
      }
    },
  }
}

function decrypt(key: SecretsKey, bytes: Buffer, context: readonly string[]): string {
  const tagAt = bytes.length - TAG_BYTES
  const decipher = createDecipheriv(CIPHER, key.bytes, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(bytesOf(context)).setAuthTag(bytes.subarray(tagAt))
  return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, tagAt)), decipher.final()]).toString('utf8')
}

/** JSON keeps the parts apart: `['a', 'bc']` is another context than `['ab', 'c']`. */
const bytesOf = (context: readonly string[]): Buffer => Buffer.from(JSON.stringify(context))
