import { badRequest } from './errors.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** A window's whole hours, which are read from totals, and its edges, which are counted from rows. Ends are exclusive. */
export interface SplitWindow {
  hours: { from: Date | null; to: Date | null } | undefined
  edges: { from: Date; to: Date }[]
}

/** Splits [from, to); null is without bound. */
export function splitWindow(from: Date | null, to: Date | null): SplitWindow {
  const firstHour = from === null ? null : new Date(Math.ceil(from.getTime() / HOUR_MS) * HOUR_MS)
  const lastHour = to === null ? null : new Date(Math.floor(to.getTime() / HOUR_MS) * HOUR_MS)
  if (from !== null && to !== null && firstHour !== null && lastHour !== null && firstHour > lastHour) {
    return { hours: undefined, edges: [{ from, to }] }
  }
  return {
    hours: { from: firstHour, to: lastHour },
    edges: [
      ...(from !== null && firstHour !== null && from < firstHour ? [{ from, to: firstHour }] : []),
      ...(to !== null && lastHour !== null && lastHour < to ? [{ from: lastHour, to }] : []),
    ],
  }
}

/** Whole seconds until the next day (UTC) begins, at least 1. */
export const secondsToNextDay = (now: Date): number =>
  Math.max(1, Math.ceil((DAY_MS - (now.getTime() % DAY_MS)) / 1000))

/** Errors: 400 naming the parameter. */
export function parseTime(text: string | undefined, param: string): Date | null {
  if (text === undefined) return null
  const time = new Date(text)
  // A 30th of February would silently be the 2nd of March.
  const isDay = new Date(text.slice(0, 10)).getUTCDate() === Number(text.slice(8, 10))
  if (Number.isNaN(time.getTime()) || !isDay) throw badRequest(`\`${param}\` must be a time in ISO 8601.`, param)
  return time
}

/** The window of two query texts. Errors: 400 naming the parameter. */
export function parseWindow(
  from: { text: string | undefined; param: string },
  to: { text: string | undefined; param: string },
): { from: Date | null; to: Date | null } {
  const window = { from: parseTime(from.text, from.param), to: parseTime(to.text, to.param) }
  if (window.from !== null && window.to !== null && window.from >= window.to) {
    throw badRequest(`\`${from.param}\` must be before \`${to.param}\`.`, from.param)
  }
  return window
}

/**
 * What stands in a statement for each edge of the window, joined: `of` is given the edge's condition, whose parameters
 * count from `parameter`. Bounds of its own let each be read by an index; joined to a table of edges they would not.
 */
export const edgesSql = ({ edges }: SplitWindow, parameter: number, of: (edge: string) => string): string =>
  edges
    .map((_, index) => [parameter + 2 * index, parameter + 2 * index + 1])
    .map(([from, to]) => of(`created_at >= $${from}::timestamptz AND created_at < $${to}::timestamptz`))
    .join('')

export const edgeValues = ({ edges }: SplitWindow): Date[] => edges.flatMap(({ from, to }) => [from, to])

/** OpenAI's form of a time. */
export const unixSeconds = (time: Date): number => Math.floor(time.getTime() / 1000)
