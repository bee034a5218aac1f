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

/** What of a project's requests and replies is kept. */
export interface ContentPolicy {
  mode: 'off' | 'sampled' | 'all'
  /** Of `sampled`: the share of requests, 0 to 1. */
  sample_rate: number
  max_chars_per_message: number
  redact: boolean
  /** null: the default rule. */
  redaction_rule_id: string | null
  retention_days: number
}
