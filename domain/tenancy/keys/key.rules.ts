export interface KeyState {
  revokedAt: Date | null
  expiresAt: Date | null
  userDisabledAt: Date | null
}

/** Why the key is refused at this time, or undefined where it is good. */
export function keyRefusal(key: KeyState, nowMs: number): string | undefined {
  if (key.revokedAt !== null) return 'This API key was revoked.'
  if (key.expiresAt !== null && key.expiresAt.getTime() <= nowMs) return 'This API key has expired.'
  if (key.userDisabledAt !== null) return 'This account is disabled.'
  return undefined
}
