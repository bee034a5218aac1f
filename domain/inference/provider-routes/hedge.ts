import { setTimeout as delay } from 'node:timers/promises'
import { linkedAbort, type LinkedAbort } from '../../../infra/abort.ts'

export type AttemptAbort = Pick<LinkedAbort, 'signal' | 'release'>

export interface Hedged<Candidate, Reply> {
  candidates: readonly Candidate[]
  /** Releases what it is given once it has failed, or its reply, which may be a stream, is over. */
  attempt: (candidate: Candidate, attemptAbort: AttemptAbort) => Promise<Reply>
  /** After so long without an answer the next candidate is asked too; undefined: only after a failure. */
  hedgeAfterMs: number | undefined
  signal: AbortSignal
  /** Told of a failure; throws where no other candidate should be asked. */
  failed: (candidate: Candidate, error: unknown) => void
}

interface Answer<Candidate, Reply> {
  candidate: Candidate
  reply: Reply
}

/** The first answer of candidates that are asked in turn; undefined where all have failed. */
export function firstOfHedged<Candidate, Reply>(
  race: Hedged<Candidate, Reply>,
): Promise<Answer<Candidate, Reply> | undefined> {
  return race.hedgeAfterMs === undefined ? firstInTurn(race) : firstOfTwo(race, race.hedgeAfterMs)
}

async function firstInTurn<Candidate, Reply>({ candidates, attempt, signal, failed }: Hedged<Candidate, Reply>) {
  const attemptAbort = { signal, release: nothing }
  for (const candidate of candidates) {
    try {
      const reply = await attempt(candidate, attemptAbort)
      return { candidate, reply }
    } catch (error) {
      failed(candidate, error)
    }
  }
  return undefined
}

const nothing = (): void => undefined

interface Runner<Candidate, Reply> {
  candidate: Candidate
  attemptAbort: LinkedAbort
  /** Never rejects. */
  outcome: Promise<
    { runner: Runner<Candidate, Reply>; reply: Reply } | { runner: Runner<Candidate, Reply>; error: unknown }
  >
}

/** At most two at once: the losers are aborted, and whatever they still say is not heard. */
async function firstOfTwo<Candidate, Reply>(race: Hedged<Candidate, Reply>, hedgeAfterMs: number) {
  const waiting = [...race.candidates]
  const running = new Set<Runner<Candidate, Reply>>()
  const over = new AbortController()
  let hedge: Promise<'hedge'> | undefined
  const start = () => {
    const candidate = waiting.shift()
    if (candidate !== undefined) running.add(startRunner(race, candidate))
  }
  start()
  try {
    while (running.size > 0) {
      if (running.size === 1 && waiting.length > 0) {
        hedge ??= delay(hedgeAfterMs, 'hedge' as const, { signal: over.signal })
        hedge.catch(() => undefined)
      }
      const outcomes = [...running].map(runner => runner.outcome)
      const next = await Promise.race(hedge === undefined ? outcomes : [...outcomes, hedge])
      if (next === 'hedge') {
        hedge = undefined
        start()
        continue
      }
      running.delete(next.runner)
      if ('reply' in next) return { candidate: next.runner.candidate, reply: next.reply }
      race.failed(next.runner.candidate, next.error)
      if (running.size === 0) start()
    }
    return undefined
  } finally {
    over.abort()
    running.forEach(({ attemptAbort }) => attemptAbort.abort(new Error('another route answered first')))
  }
}

function startRunner<Candidate, Reply>(race: Hedged<Candidate, Reply>, candidate: Candidate): Runner<Candidate, Reply> {
  const attemptAbort = linkedAbort(race.signal)
  const runner: Runner<Candidate, Reply> = {
    candidate,
    attemptAbort,
    outcome: race.attempt(candidate, attemptAbort).then(
      reply => ({ runner, reply }),
      (error: unknown) => ({ runner, error }),
    ),
  }
  return runner
}
