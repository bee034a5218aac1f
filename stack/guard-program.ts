import { createInterface } from 'node:readline'
import type { GuardedProcess } from './guard.ts'
import { endOf, stopProcess } from './process-identity.ts'

/**
 * The program of a guard: a line of its input is the processes to be stopped when the input ends. Those that end by
 * themselves come first, since they still need the others.
 */
let guarded: readonly GuardedProcess[] = []
// What is sent to a whole terminal, or to a group, is not meant for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
for await (const line of createInterface({ input: process.stdin })) guarded = JSON.parse(line) as GuardedProcess[]

await Promise.all(guarded.filter(one => one.stopSignal === undefined).map(one => endOf(one.identity, one.stopGraceMs)))
await Promise.all(
  guarded.map(({ identity, stopSignal, stopGraceMs }) =>
    stopProcess(identity, stopSignal ?? 'SIGKILL', stopSignal === undefined ? 0 : stopGraceMs),
  ),
)
