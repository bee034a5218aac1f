import { describe, expect, test } from '@jest/globals'
import { booksOf } from '../support/books.ts'
import { linesOfFile, chatRow, startBatch, untilEnded } from '../support/batches.ts'
import { CHAT, chatOf } from '../support/chats.ts'
import { testDatabase } from '../support/database.ts'
import { fakeCalls, fakePrompt, type FakeScript } from '../support/fake-upstream.ts'
import { testStack } from '../support/stack.ts'
import { newTenant } from '../support/tenants.ts'
import { allTurnEvents, startTurn, textOf } from '../support/turns.ts'
import {
  asciiJson,
  BROKEN_QUIRKS,
  EMPTY_TURNS,
  modelOfQuirk,
  SOUND_QUIRKS,
  streamText,
  type Quirk,
} from '../support/upstream-corpus.ts'

const db = testDatabase()
const { upstreamUrl } = testStack()

const scriptOf = (quirk: Quirk): FakeScript => ({ raw: { stream: streamText(quirk), reply: asciiJson(quirk.reply) } })

/** The data of a stream's events, but its end. */
const dataOf = (text: string): any[] =>
  text
    .split('\n\n')
    .flatMap(block => /^data: (.*)$/m.exec(block)?.[1] ?? [])
    .filter(data => data !== '[DONE]')
    .map(data => JSON.parse(data) as unknown)

const outputTexts = (response: any, kind: string): string =>
  response.output
    .flatMap((item: any) => item.content ?? [])
    .map((part: any) => part[kind] ?? '')
    .join('')
const outputCalls = (response: any): object[] =>
  response.output
    .filter((item: any) => item.type === 'function_call')
    .map(({ name, arguments: text }: any) => ({ name, arguments: text }))

const figuresOf = ({ input, output }: Record<string, unknown>) => ({ input, output })

function expectResponse(response: any, { expected }: Quirk): void {
  expect(outputTexts(response, 'text')).toBe(expected.content)
  expect(outputTexts(response, 'refusal')).toBe(expected.refusal)
  expect(outputCalls(response)).toEqual(expected.calls)
  expect(response.status).toBe(expected.finish === 'length' ? 'incomplete' : 'completed')
}

describe.each(SOUND_QUIRKS)('%s', (_name, quirk) => {
  const { expected } = quirk

  test('is told alike by chat, Responses and turns', async () => {
    const tenant = await newTenant(db)
    const script = scriptOf(quirk)
    const { body } = await tenant.api.post(CHAT, chatOf(script))
    expect(body.choices[0]).toMatchObject({ finish_reason: expected.finish })
    expect(body.choices[0].message.content ?? '').toBe(expected.content)

    const chunks = dataOf((await tenant.api.post(CHAT, chatOf(script, { stream: true }))).text)
    const deltas = chunks.flatMap(({ choices }) => choices)
    expect(deltas.map(({ delta }) => delta.content ?? '').join('')).toBe(expected.content)
    expect(deltas.map(({ delta }) => delta.refusal ?? '').join('')).toBe(expected.refusal)
    expect(deltas.flatMap(({ finish_reason: finish }) => finish ?? [])).toEqual([expected.finish])

    const asked = { model: 'test/plain', input: fakePrompt(script) }
    const plain = await tenant.api.post('/responses', asked)
    expect(plain.status).toBe(200)
    expectResponse(plain.body, quirk)
    const streamed = dataOf((await tenant.api.post('/responses', { ...asked, stream: true })).text)
    expectResponse(streamed.at(-1).response, quirk)

    const events = await allTurnEvents(tenant.secret, await startTurn(tenant.api, script))
    expect(textOf(events)).toBe(expected.content)
    expect(events.at(-1)?.type).toBe('turn.completed')

    const { calls } = await booksOf(db, tenant)
    expect(calls).toHaveLength(5)
    expect(calls.every(({ status }) => status === 'completed')).toBe(true)
    const used = calls.map(({ tokens_in: input, tokens_out: output }) => ({ input, output }))
    // What cannot be believed is counted.
    const told = expected.usage === null ? { output: 1 } : figuresOf(expected.usage)
    expect(used).toMatchObject(Array(5).fill(told))
  })
})

test('a batch tells all of them as a chat does', async () => {
  const tenant = await newTenant(db)
  const rows = SOUND_QUIRKS.map(([name, quirk]) => chatRow(name, fakePrompt(scriptOf(quirk))))
  const batch = await untilEnded(tenant.api, await startBatch(tenant.api, rows))
  const lines = await linesOfFile(tenant.api, batch.output_file_id)
  const texts = new Map(
    lines.map(({ custom_id: name, response }) => [name, response.body.choices[0].message.content ?? '']),
  )
  expect(texts).toEqual(new Map(SOUND_QUIRKS.map(([name, { expected }]) => [name, expected.content])))
})

test.each(BROKEN_QUIRKS)('%s is a 503 that costs nothing', async (name, quirk) => {
  const tenant = await newTenant(db)
  const script = { ...scriptOf(quirk), id: tenant.keyId }
  const model = modelOfQuirk(name)
  for (const stream of [false, true]) {
    expect((await tenant.api.post(CHAT, chatOf(script, { model, stream }))).status).toBe(503)
    const asked = { model, input: fakePrompt(script), stream }
    expect((await tenant.api.post('/responses', asked)).status).toBe(503)
  }
  expect(await fakeCalls(upstreamUrl, tenant.keyId)).toHaveLength(4)
  expect((await booksOf(db, tenant)).charges).toEqual([])
})

test('a turn of which nothing comes is tried four times, and fails', async () => {
  const tenant = await newTenant(db)
  const raw = { stream: 'data: [DONE]\n\n', reply: '{}' }
  const id = await startTurn(tenant.api, { id: tenant.keyId, raw }, { model: EMPTY_TURNS })
  const events = await allTurnEvents(tenant.secret, id)
  expect(events.at(-1)?.type).toBe('turn.failed')
  expect(await fakeCalls(upstreamUrl, tenant.keyId)).toHaveLength(4)
  expect((await booksOf(db, tenant)).charges).toEqual([])
})
