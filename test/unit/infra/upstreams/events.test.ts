import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { anthropicWire } from '../../../../infra/upstreams/anthropic/wire.ts'
import { openAiWire } from '../../../../infra/upstreams/openai/wire.ts'
import { UpstreamFailure } from '../../../../infra/upstreams/upstream.ts'
import { endlessBodyOf, replyBodyOf } from '../../../support/reply-body.ts'
import { QUIRKS, streamText } from '../../../support/upstream-corpus.ts'

const call = { path: '/chat/completions' as const, body: {}, signal: new AbortController().signal }

async function textsOf(parts: Uint8Array[]): Promise<string[]> {
  const data: string[] = []
  for await (const chunks of openAiWire.eventsOf(call, replyBodyOf(parts))) data.push(...chunks.map(({ text }) => text))
  return data.filter(text => text !== '')
}

/** The bytes in parts that begin at these places. */
function partsOf(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [0, ...places.map(place => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end))
}

const deltas = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 12 })
const places = fc.array(fc.nat(10_000), { maxLength: 40 })
const lineEnds = fc.constantFrom('\n', '\r\n', '\r')
const noise = fc.constantFrom('', ': keep-alive', 'event: chunk', 'id: 7', 'retry: 10')
const dataFor = (delta: string) => JSON.stringify({ choices: [{ index: 0, delta: { content: delta } }] })

describe('events of an upstream', () => {
  test('are the same however their bytes are split, whatever ends their lines and stands between them', async () => {
    await fc.assert(
      fc.asyncProperty(deltas, places, lineEnds, noise, async (texts, cuts, lineEnd, between) => {
        const blocks = [...texts.map(dataFor), '[DONE]'].map(data =>
          [...(between === '' ? [] : [between]), `data: ${data}`, '', ''].join(lineEnd),
        )
        const bytes = Buffer.from(blocks.join(''))
        expect(await textsOf(partsOf(bytes, cuts))).toEqual(texts)
      }),
    )
  })

  // https://github.com/tombii/better-ccflare/pull/307
  test.each([
    ['no-done', openAiWire],
    ['anthropic-no-stop', anthropicWire],
  ])('of a reply that is whole are all, also where its server never ends it (%s)', async (name, wire) => {
    const [, quirk] = QUIRKS.find(([known]) => known === name) ?? []
    if (quirk === undefined) throw new Error('the corpus has no such behaviour')
    const texts: string[] = []
    for await (const chunks of wire.eventsOf(call, endlessBodyOf([Buffer.from(streamText(quirk))])))
      texts.push(...chunks.map(({ text }) => text))
    expect(texts.join('')).toBe(quirk.expected.content)
  })

  test('before a break are given, and then the break', async () => {
    await fc.assert(
      fc.asyncProperty(deltas, places, fc.nat(10_000), async (texts, cuts, end) => {
        const blocks = texts.map(text => `data: ${dataFor(text)}\n\n`)
        const whole = Buffer.from(blocks.join(''))
        const bytes = whole.subarray(0, end % (whole.length + 1))
        const seen: string[] = []
        const read = async () => {
          for await (const chunks of openAiWire.eventsOf(call, replyBodyOf(partsOf(bytes, cuts))))
            seen.push(...chunks.map(({ text }) => text))
        }
        await expect(read()).rejects.toThrow(UpstreamFailure)
        let offset = 0
        const complete = blocks.filter(block => (offset += Buffer.byteLength(block)) <= bytes.length)
        expect(seen.slice(0, complete.length)).toEqual(texts.slice(0, complete.length))
        // The last may lack its empty line alone.
        expect(texts).toEqual(expect.arrayContaining(seen))
      }),
    )
  })
})
