/** What tells one content of a resource from its others (RFC 9110 section 8.8). */
export interface Validators {
  /** Strong, without quotes. */
  etag: string
  modifiedAt?: Date
}

/** How a GET or HEAD with preconditions is answered. */
export type Verdict =
  /** With the content, or the range that is asked for. */
  | 'content'
  /** With the whole content, whatever range is asked for: it is of another content. */
  | 'whole'
  /** 304. */
  | 'not_modified'
  /** 412. */
  | 'failed'

type Header = (name: string) => string | undefined

/** Evaluates the preconditions of a GET or HEAD in the order of RFC 9110 section 13.2.2. Malformed dates are ignored. */
export function judgeConditions(header: Header, validators: Validators): Verdict {
  if (isOutdated(header, validators)) return 'failed'
  if (isKnown(header, validators)) return 'not_modified'
  return isRangeOfAnother(header('if-range'), validators) ? 'whole' : 'content'
}

/** If-Match counts before If-Unmodified-Since. */
function isOutdated(header: Header, { etag, modifiedAt }: Validators): boolean {
  const match = header('if-match')
  if (match !== undefined) return !namesEtag(match, etag, 'strong')
  const since = httpDate(header('if-unmodified-since'))
  return since !== undefined && modifiedAt !== undefined && secondsOf(modifiedAt) > secondsOf(since)
}

/** If-None-Match counts before If-Modified-Since. */
function isKnown(header: Header, { etag, modifiedAt }: Validators): boolean {
  const noneMatch = header('if-none-match')
  if (noneMatch !== undefined) return namesEtag(noneMatch, etag, 'weak')
  const since = httpDate(header('if-modified-since'))
  return since !== undefined && modifiedAt !== undefined && secondsOf(modifiedAt) <= secondsOf(since)
}

/** A date is as good as an etag here only where it is exactly the content's. */
function isRangeOfAnother(ifRange: string | undefined, { etag, modifiedAt }: Validators): boolean {
  if (ifRange === undefined) return false
  const date = httpDate(ifRange)
  if (date === undefined) return !namesEtag(ifRange, etag, 'strong')
  return modifiedAt === undefined || secondsOf(date) !== secondsOf(modifiedAt)
}

/** An entity tag in quotes; programs also send it without. No part of it can be read in two ways, so it is linear. */
const ETAG = /(W\/)?(?:"([^"]*)"|([^\s,"]+))/g

/** Whether a list of entity tags, or `*`, names this one. Weak tags name nothing in the strong comparison. */
function namesEtag(list: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (list.trim() === '*') return true
  for (const [, weak, quoted, bare] of list.matchAll(ETAG)) {
    if ((quoted ?? bare) === etag && (weak === undefined || comparison === 'weak')) return true
  }
  return false
}

/** The three forms of RFC 9110 section 5.6.7; the last tells no zone, and means UTC. */
const DATES = [
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
]
const ASCTIME = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/

function httpDate(text: string | undefined): Date | undefined {
  const trimmed = text?.trim() ?? ''
  const isDate = DATES.some(form => form.test(trimmed))
  if (!isDate && !ASCTIME.test(trimmed)) return undefined
  const date = new Date(isDate ? trimmed : `${trimmed} GMT`)
  return Number.isNaN(date.getTime()) ? undefined : date
}

/** Headers tell whole seconds. */
const secondsOf = (date: Date): number => Math.floor(date.getTime() / 1000)
