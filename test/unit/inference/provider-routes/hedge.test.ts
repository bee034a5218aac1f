import { describe, expect, test } from '@jest/globals'
import { firstOfHedged, type AttemptAbort } from '../../../../domain/inference/provider-routes/hedge.ts'

/** Candidates by name: what each does when it is asked. */
type Behaviour = 'answers' | 'fails' | 'hangs' | { afterMs: number }

function race(behaviours: Record<string, Behaviour>, hedgeAfterMs: number | undefined) {
  const asked: string[] = []
  const aborted: string[] = []
  const failed: string[] = []
  const client = new AbortController()
  const attempt = (name: string, { signal }: AttemptAbort) =>
    new Promise<string>((resolve, reject) => {
      asked.push(name)
      const behaviour = behaviours[name]
      signal.addEventListener('abort', () => {
        aborted.push(name)
        reject(new Error('aborted'))
      })
      if (behaviour === 'answers') resolve(`from ${name}`)
      if (behaviour === 'fails') reject(new Error(`${name} failed`))
      if (typeof behaviour === 'object') setTimeout(() => resolve(`from ${name}`), behaviour.afterMs)
    })
  const run = firstOfHedged({
    candidates: Object.keys(behaviours),
    attempt,
    hedgeAfterMs,
    signal: client.signal,
    failed: (name, error) => {
      failed.push(name)
      if (client.signal.aborted) throw error
    },
  })
  return { run, asked, aborted, failed, client }
}

describe('without a hedge', () => {
  test('candidates are asked one after the other', async () => {
    const { run, asked } = race({ a: 'fails', b: 'answers', c: 'answers' }, undefined)
    expect(await run).toEqual({ candidate: 'b', reply: 'from b' })
    expect(asked).toEqual(['a', 'b'])
  })
  test('all failing gives nothing', async () => {
    const { run, failed } = race({ a: 'fails', b: 'fails' }, undefined)
    expect(await run).toBeUndefined()
    expect(failed).toEqual(['a', 'b'])
  })
})

describe('with a hedge', () => {
  test('a quick answer asks nobody else', async () => {
    const { run, asked } = race({ a: 'answers', b: 'answers' }, 1_000)
    expect(await run).toEqual({ candidate: 'a', reply: 'from a' })
    expect(asked).toEqual(['a'])
  })
  test('the next is asked where the first is slow, and the loser is aborted', async () => {
    const { run, asked, aborted } = race({ a: 'hangs', b: 'answers', c: 'answers' }, 5)
    expect(await run).toEqual({ candidate: 'b', reply: 'from b' })
    expect([asked, aborted]).toEqual([['a', 'b'], ['a']])
  })
  test('the first may still win', async () => {
    const { run, asked, aborted } = race({ a: { afterMs: 30 }, b: 'hangs' }, 5)
    expect(await run).toEqual({ candidate: 'a', reply: 'from a' })
    expect([asked, aborted]).toEqual([['a', 'b'], ['b']])
  })
  test('never more than two are asked at once', async () => {
    const { run, asked } = race({ a: { afterMs: 40 }, b: 'hangs', c: 'answers' }, 5)
    expect(await run).toMatchObject({ candidate: 'a' })
    expect(asked).toEqual(['a', 'b'])
  })
  test('a failure asks the next at once', async () => {
    const { run, asked, failed } = race({ a: 'fails', b: 'answers' }, 60_000)
    expect(await run).toMatchObject({ candidate: 'b' })
    expect([asked, failed]).toEqual([['a', 'b'], ['a']])
  })
  test('all failing gives nothing', async () => {
    expect(await race({ a: 'fails', b: 'fails' }, 1).run).toBeUndefined()
  })
  test('a client that leaves ends it', async () => {
    const { run, client, aborted } = race({ a: 'hangs', b: 'hangs' }, 60_000)
    client.abort()
    await expect(run).rejects.toThrow('aborted')
    expect(aborted).toContain('a')
  })
})
