/** More levels than any real request has; far fewer than recursion over a value can bear. */
const MOST_LEVELS = 200

/** Whether a JSON value is nested deeper than what works on it later can follow. */
export function isTooDeep(value: unknown, levelsLeft = MOST_LEVELS): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levelsLeft === 0) return true
  for (const item of Object.values(value)) if (isTooDeep(item, levelsLeft - 1)) return true
  return false
}

/** Whether the database can hold every string of a JSON value: no NUL, no half of a surrogate pair. */
export function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed()
  if (Array.isArray(value)) return value.every(isStorable)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, item]) => isStorable(key) && isStorable(item))
}
