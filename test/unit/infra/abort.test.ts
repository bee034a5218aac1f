import { getEventListeners, once } from 'node:events'
import { describe, expect, test } from '@jest/globals'
import { abortWhere, linkedAbort } from '../../../infra/abort.ts'

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

describe('a linked signal', () => {
  test('aborts with its parent, for its reason, and leaves nothing there', () => {
    const parent = new AbortController()
    const link = linkedAbort(parent.signal)
    expect([link.signal.aborted, listenersOf(parent.signal)]).toEqual([false, 1])
    const reason = new Error('left')
    parent.abort(reason)
    expect(link.signal.reason).toBe(reason)
    expect([link.isLate, listenersOf(parent.signal)]).toEqual([false, 0])
  })

  test('has aborted where its parent had', () => {
    const reason = new Error('left before')
    const link = linkedAbort(AbortSignal.abort(reason), 1_000_000)
    expect(link.signal.reason).toBe(reason)
  })

  test('aborts by itself, and its parent does not', () => {
    const parent = new AbortController()
    const link = linkedAbort(parent.signal)
    const reason = new Error('lost the race')
    link.abort(reason)
    expect(link.signal.reason).toBe(reason)
    expect([parent.signal.aborted, listenersOf(parent.signal)]).toEqual([false, 0])
  })

  test('is late when its time is over', async () => {
    const link = linkedAbort(new AbortController().signal, 1)
    await once(link.signal, 'abort')
    expect(link.isLate).toBe(true)
  })

  test('is held by nothing once it is released', () => {
    const parent = new AbortController()
    const link = linkedAbort(parent.signal, 1_000_000)
    link.release()
    expect(listenersOf(parent.signal)).toBe(0)
    parent.abort()
    expect(link.signal.aborted).toBe(false)
  })
})

describe('a signal that aborts for some reasons alone', () => {
  const isRange = (reason: unknown) => reason instanceof RangeError

  test('aborts with its parent for such a reason', () => {
    const parent = new AbortController()
    const { signal } = abortWhere(parent.signal, isRange)
    expect([signal.aborted, listenersOf(parent.signal)]).toEqual([false, 1])
    parent.abort(new RangeError('ours'))
    expect([signal.aborted, listenersOf(parent.signal)]).toEqual([true, 0])
  })

  test('goes on for another, and where it is released', () => {
    const parent = new AbortController()
    const { signal } = abortWhere(parent.signal, isRange)
    abortWhere(parent.signal, isRange).release()
    parent.abort(new Error('left'))
    expect([signal.aborted, listenersOf(parent.signal)]).toEqual([false, 0])
  })

  test('has aborted where its parent had', () => {
    expect(abortWhere(AbortSignal.abort(new RangeError('ours')), isRange).signal.aborted).toBe(true)
  })
})
