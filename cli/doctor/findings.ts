import { reasonOf } from '../operator/failure.ts'

/** What one check found. `remedy` says what to do where it is not ok, or could be better. */
export interface Finding {
  name: string
  /** Also true of what is not there and need not be. */
  ok: boolean
  detail: string
  remedy?: string
}

export interface Check {
  name: string
  /** What was found, as a phrase. Rejects with what is wrong. */
  look: () => Promise<string> | string
  remedy: string
  /** Whether the system works without, though less well. */
  isOptional?: boolean
}

const MOST_MS = 15_000

/** Runs the check; one that does not end in time has failed. */
export async function find({ name, look, remedy, isOptional = false }: Check): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${MOST_MS / 1000} s`)), MOST_MS)
  })
  try {
    return { name, ok: true, detail: await Promise.race([Promise.resolve().then(look), late]) }
  } catch (error) {
    return { name, ok: isOptional, detail: reasonOf(error).replace(/\.$/, ''), remedy }
  } finally {
    clearTimeout(timer)
  }
}
