import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createAssembly } from '../../../../../domain/inference/chat/assembly.rules.ts'
import type { Chunk } from '../../../../../infra/upstreams/chunk.ts'
import { usageOf } from '../../../../../infra/upstreams/normal/usage.ts'
import { storable } from '../../../../../infra/upstreams/text.ts'
import { anthropicWire } from '../../../../../infra/upstreams/anthropic/wire.ts'
import { openAiWire } from '../../../../../infra/upstreams/openai/wire.ts'
import { UpstreamFailure } from '../../../../../infra/upstreams/upstream.ts'
import { replyBodyOf } from '../../../../support/reply-body.ts'
import { asciiJson, QUIRKS, streamText, type Quirk } from '../../../../support/upstream-corpus.ts'

type Fields = Record<string, any>
const call = { path: '/chat/completions' as const, body: {}, signal: new AbortController().signal }

const wireOf = ({ wire }: Quirk) => (wire === 'anthropic' ? anthropicWire : openAiWire)

async function streamed(quirk: Quirk, parts: Uint8Array[]): Promise<{ choices: Fields[]; usage: Chunk['usage'] }> {
  const assembly = createAssembly()
  let usage: Chunk['usage']
  for await (const chunks of wireOf(quirk).eventsOf(call, replyBodyOf(parts))) {
    for (const chunk of chunks) {
      assembly.add(chunk)
      usage = chunk.usage ?? usage
    }
  }
  return { choices: assembly.choices(), usage }
}

function replied(quirk: Quirk): { choices: Fields[]; usage: Chunk['usage'] } {
  const normal = wireOf(quirk).replyOf(call, storable(JSON.parse(asciiJson(quirk.reply))) as Fields)
  return { choices: normal['choices'] as Fields[], usage: usageOf(normal['usage']) }
}

/** Of the only choice. */
function emitted({ choices, usage }: { choices: Fields[]; usage: Chunk['usage'] }): Quirk['expected'] {
  expect(choices).toHaveLength(1)
  const { message, finish_reason: finish } = choices[0] as Fields
  const calls = (message.tool_calls ?? []) as Fields[]
  expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length)
  for (const { id } of calls) expect(id).toMatch(/.+/)
  return {
    content: message.content ?? '',
    reasoning: message.reasoning ?? message.reasoning_content ?? '',
    refusal: message.refusal ?? '',
    calls: calls.map(({ function: { name, arguments: text } }) => ({ name, arguments: text })),
    finish,
    usage: usage ?? null,
    ...sealsOf((message.reasoning_details ?? []) as Fields[]),
  }
}

function sealsOf(details: Fields[]): Pick<Quirk['expected'], 'seals'> {
  const seals = details.flatMap(({ signature, data }) => signature ?? data ?? [])
  return seals.length === 0 ? {} : { seals }
}

describe.each(QUIRKS.filter(([, { expected }]) => expected.failure !== true))('%s', (_name, quirk) => {
  test('is told alike, however its bytes are split', async () => {
    const bytes = Buffer.from(streamText(quirk))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 40 }), async places => {
        const cuts = [0, ...places.toSorted((a, b) => a - b), bytes.length]
        const parts = cuts.slice(1).map((end, position) => bytes.subarray(cuts[position], end))
        expect(
          emitted(
            await streamed(
              quirk,
              parts.filter(part => part.length > 0),
            ),
          ),
        ).toEqual(quirk.expected)
      }),
      { numRuns: 30 },
    )
  })

  test('is told alike where it is not streamed', () => {
    expect(emitted(replied(quirk))).toEqual(quirk.expected)
  })
})

describe.each(QUIRKS.filter(([, { expected }]) => expected.failure === true))('%s', (_name, quirk) => {
  test('is a failure before anything is told, streamed and not', async () => {
    await expect(streamed(quirk, [Buffer.from(streamText(quirk))])).rejects.toThrow(UpstreamFailure)
    expect(() => replied(quirk)).toThrow(UpstreamFailure)
  })
})
