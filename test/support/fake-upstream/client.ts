import type { FakeCall, FakeStats } from './calls.ts'
import type { FakeScript } from './script.ts'
import { HANGS_AFTER_MS } from '../until.ts'

/** A message text that makes the fake upstream do as the script says. */
export function fakePrompt(script: FakeScript): string {
  return JSON.stringify({ fake: script })
}

/** The calls of an id or group so far, oldest first. `url` is the upstream's, ending in `/v1`. */
export function fakeCalls(url: string, key: string): Promise<FakeCall[]> {
  return read<FakeCall[]>(url, `/__calls/${encodeURIComponent(key)}`)
}

/** The calls, as soon as one was left by its client. Errors: where that hangs. */
export function waitForAbort(url: string, key: string, withinMs = HANGS_AFTER_MS): Promise<FakeCall[]> {
  return waited(url, key, 'aborted', withinMs)
}

/** The calls, as soon as `count` have begun (or `completed`). Errors: where that hangs. */
export function waitForCalls(
  url: string,
  key: string,
  count: number,
  { what = 'count' }: { what?: 'count' | 'completed' } = {},
): Promise<FakeCall[]> {
  return waited(url, key, `${what}:${count}`)
}

const waited = (url: string, key: string, what: string, withinMs = HANGS_AFTER_MS): Promise<FakeCall[]> =>
  read(url, `/__calls/${encodeURIComponent(key)}?wait=${what}&timeout_ms=${withinMs}`)

/** Lets the calls of an id or group go on that are `held`, and those to come. */
export async function releaseCalls(url: string, key: string): Promise<void> {
  await read(url, `/__calls/${encodeURIComponent(key)}/release`, { method: 'POST' })
}

/** Counts of an id or group, or of everything since the start. */
export function fakeStats(url: string, key?: string): Promise<FakeStats> {
  return read<FakeStats>(url, key === undefined ? '/__stats' : `/__stats?key=${encodeURIComponent(key)}`)
}

/** The delay of calls whose script says nothing about it; for all tests that share the upstream. */
export async function setFakeDefaults(url: string, defaults: { delayMs: number }): Promise<void> {
  await read(url, '/__defaults', { method: 'POST', body: JSON.stringify(defaults) })
}

async function read<T>(url: string, path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(new URL(path, url), init)
  const text = await response.text()
  if (response.status === 408) throw new Error(`not so in time: ${path}; calls: ${text.slice(0, 2000)}`)
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`)
  return JSON.parse(text) as T
}
