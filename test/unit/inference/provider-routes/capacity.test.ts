import { describe, expect, test } from '@jest/globals'
import {
  createCapacity,
  type Capacity,
  type SlotRequest,
} from '../../../../domain/inference/provider-routes/capacity.ts'
import { UpstreamFailure } from '../../../../infra/upstreams/upstream.ts'
import { rejectedBy, settled } from '../../fixtures.ts'

const upstream = (maxConcurrency?: number) => ({
  id: 'u',
  baseUrl: 'http://u',
  apiKey: undefined,
  external: true,
  maxConcurrency,
})
const wanting = (changes: Partial<SlotRequest> = {}): SlotRequest => ({
  priority: 1,
  budgetMs: undefined,
  signal: new AbortController().signal,
  ...changes,
})

const entering = async (capacity: Capacity, changes: Partial<SlotRequest>) =>
  capacity.acquire(upstream(1), wanting(changes))

describe('slots at an upstream', () => {
  test('are endless where it names no limit', async () => {
    const capacity = createCapacity()
    const entered = Array.from({ length: 100 }, async () => capacity.acquire(upstream(), wanting({ budgetMs: 0 })))
    await expect(Promise.all(entered)).resolves.toHaveLength(100)
  })

  test('go by priority, then by who came first', async () => {
    const capacity = createCapacity()
    const order: string[] = []
    const releaseSlot = await capacity.acquire(upstream(1), wanting())
    const acquire = async (name: string, priority: number) => {
      const done = await capacity.acquire(upstream(1), wanting({ priority }))
      order.push(name)
      done()
    }
    const all = [acquire('low', 0), acquire('first', 2), acquire('second', 2), acquire('high', 3)]
    await settled()
    expect(order).toEqual([])
    releaseSlot()
    await Promise.all(all)
    expect(order).toEqual(['high', 'first', 'second', 'low'])
  })

  test('are refused once the budget is spent, and the queue forgets who left', async () => {
    const capacity = createCapacity()
    const releaseSlot = await capacity.acquire(upstream(1), wanting())
    const refused = await rejectedBy(UpstreamFailure, entering(capacity, { budgetMs: 1 }))
    expect(refused.kind).toBe('rate_limited')
    releaseSlot()
    const again = await capacity.acquire(upstream(1), wanting({ budgetMs: 0 }))
    again()
  })

  test('are given back once, also by an abort', async () => {
    const capacity = createCapacity()
    const client = new AbortController()
    const releaseSlot = await capacity.acquire(upstream(1), wanting({ signal: client.signal }))
    client.abort()
    releaseSlot()
    await capacity.acquire(upstream(1), wanting({ budgetMs: 0 }))
    const refused = await rejectedBy(UpstreamFailure, entering(capacity, { budgetMs: 1 }))
    expect(refused.kind).toBe('rate_limited')
  })

  test('are not waited for by a client that left', async () => {
    const capacity = createCapacity()
    await capacity.acquire(upstream(1), wanting())
    const client = new AbortController()
    const waiting = rejectedBy(UpstreamFailure, entering(capacity, { signal: client.signal }))
    client.abort()
    expect((await waiting).kind).toBe('aborted')
  })
})
