import type { ContentPolicy } from '../capture/capture.rules.ts'

/** Who a resource belongs to: the billing account, and the project where it has one. */
export interface Owner {
  userId: string
  projectId: string | null
}

/** What a key may do. A job keeps the rules its key had when the job was created. */
export interface KeyRules {
  /** null: every model. */
  allowedModels: string[] | null
  /** Whether prompts may leave for providers outside the operator's own network. */
  externalProcessing: boolean
  smokeTest: boolean
}

/** The authenticated side of a request. */
export interface Caller {
  owner: Owner
  keyId: string
  rules: KeyRules
  /** What of the project's requests and replies is kept; null: nothing. */
  contentPolicy: ContentPolicy | null
}

export const mayUseModel = (rules: KeyRules, model: string): boolean =>
  rules.allowedModels === null || rules.allowedModels.includes(model)

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
