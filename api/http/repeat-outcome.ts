import {
  freeReply,
  keepReply,
  LONGEST_KEPT,
  type KeptReply,
  type ReplyClaim,
} from '../../domain/tenancy/idempotency/kept-replies.ts'
import type { ApiDeps } from './request/deps.ts'
import type { AccessFields } from './request/request-context.ts'

/** What becomes of a claimed Idempotency-Key. None of it fails: what cannot be kept is answered all the same. */
export interface RepeatOutcome {
  /** The figures of the call, when it ends. */
  addUsage(fields: AccessFields): void
  keep(reply: KeptReply): Promise<void>
  /** Keeps it where the call used anything; else the key is free, and the next request with it is made. */
  keepIfUsed(reply: KeptReply): Promise<void>
}

export function createOutcome({ db, log }: Pick<ApiDeps, 'db' | 'log'>, claim: ReplyClaim): RepeatOutcome {
  let isUsed = false
  const settle = (work: Promise<void>) =>
    work.catch((error: unknown) => {
      log.error({ requestId: claim.requestId, err: error }, 'a reply could not be kept for its Idempotency-Key')
    })
  const keep = (reply: KeptReply) => {
    const isTooLarge = reply.body !== null && reply.body.length > LONGEST_KEPT
    return settle(keepReply(db, claim, isTooLarge ? { ...reply, body: null } : reply))
  }
  return {
    addUsage: ({ tokensIn = 0, tokensOut = 0, costUsd = 0 }) => {
      isUsed ||= tokensIn + tokensOut + costUsd > 0
    },
    keep,
    keepIfUsed: reply => (isUsed ? keep(reply) : settle(freeReply(db, claim))),
  }
}
