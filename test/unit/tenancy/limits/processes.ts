import {
  admitOne,
  admitted,
  beginExchange,
  dueOf,
  isExhausted,
  isRunningOut,
  newSlice,
  refused,
  settleExchange,
  type RequestAllowance,
  type RequestSlice,
} from '../../../../domain/tenancy/limits/request-slice.rules.ts'
import {
  exchangeRequests,
  WINDOW_MS,
  type RequestWindow,
} from '../../../../domain/tenancy/limits/request-window.rules.ts'

/** API processes over one window, in made-up time: the limiter without Postgres and without a clock. */
export class Processes {
  nowMs = 1_000_000
  readonly admittedAtMs: number[] = []
  exchanges = 0
  mostGranted = 0
  readonly limit: number
  private window: RequestWindow = { used: [], held: {} }
  private slices: Map<string, RequestSlice>

  constructor(limit: number, count: number) {
    this.limit = limit
    this.slices = new Map(Array.from({ length: count }, (_, index) => [`p${index}`, newSlice(limit, this.nowMs)]))
  }

  /** A call at a process. `meanwhile` further ones come while its refill is under way. */
  call(process: number, meanwhile = 0): RequestAllowance {
    const [id, slice] = this.processAt(process)
    while (!admitOne(slice, this.nowMs)) {
      if (isExhausted(slice, this.nowMs)) return refused(slice, this.nowMs)
      this.exchange(id, slice, true, 0)
    }
    this.admittedAtMs.push(this.nowMs)
    if (isRunningOut(slice, this.nowMs)) this.exchange(id, slice, true, meanwhile)
    return admitted(slice)
  }

  /** The process is killed, and another takes its place. */
  kill(process: number): void {
    const [id] = this.processAt(process)
    this.slices.delete(id)
    this.slices.set(`${id}'`, newSlice(this.limit, this.nowMs))
  }

  /** Time goes by; every process looks once a second after what is due. */
  pass(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs;) {
      this.nowMs = Math.min(endMs, this.nowMs + 1_000)
      for (const [id, slice] of this.slices) {
        const due = dueOf(slice, this.nowMs)
        if (due === 'giveBack') slice.size = 0
        if (due === 'report' || due === 'giveBack') this.exchange(id, slice, false, 0)
      }
    }
  }

  admittedWithin(ms: number): number {
    return this.admittedAtMs.filter(atMs => atMs > this.nowMs - ms).length
  }

  /** The most admissions of any stretch of time that is a window long, but for the step in which they are dated. */
  mostInAWindow(): number {
    const lengthMs = WINDOW_MS - 100
    const counts = this.admittedAtMs.map(
      fromMs => this.admittedAtMs.filter(atMs => atMs >= fromMs && atMs < fromMs + lengthMs).length,
    )
    return Math.max(0, ...counts)
  }

  private processAt(index: number): [string, RequestSlice] {
    const process = [...this.slices][index % this.slices.size]
    if (process === undefined) throw new Error('there is no process')
    return process
  }

  private exchange(id: string, slice: RequestSlice, wantsMore: boolean, meanwhile: number): void {
    const report = beginExchange(slice, wantsMore, this.nowMs)
    const { state, grant } = exchangeRequests(this.window, { ...report, holder: id, nowMs: this.nowMs })
    this.window = state
    for (let call = 0; call < meanwhile && admitOne(slice, this.nowMs); call += 1) this.admittedAtMs.push(this.nowMs)
    settleExchange(slice, report, grant, this.nowMs, this.nowMs)
    this.exchanges += 1
    this.mostGranted = Math.max(this.mostGranted, grant.granted)
  }
}
