import { writtenJson } from '../../../domain/inference/threads/stored-json.ts'
import type { ThreadDeps } from '../../../domain/inference/threads/thread-work.ts'
import type { Caller } from '../../../domain/core/caller.rules.ts'

/** A body that is JSON already. */
export class JsonText {
  readonly text: string | Uint8Array
  constructor(text: string | Uint8Array) {
    this.text = text
  }
}

/** Whose reply it is. */
interface TaskOwner {
  caller: Caller | undefined
  signal: AbortSignal
}

/** The JSON of a reply; of a large one written in a thread. Errors: 503; the signal's reason. */
export const jsonOf = (deps: ThreadDeps, { caller, signal }: TaskOwner, value: unknown): string | Promise<Uint8Array> =>
  writtenJson(deps, { tenant: caller?.owner.userId ?? '', signal }, value)
