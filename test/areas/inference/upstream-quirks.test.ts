import { describe, expect, test } from '@jest/globals'
import { createAssembly } from '../../../domain/inference/chat/assembly.rules.ts'
import { booksOf } from '../../support/books.ts'
import { linesOfFile, chatRow, startBatch, untilEnded } from '../../support/batches.ts'
import { CHAT, chatOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { fakeCalls, fakePrompt, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'
import { allTurnEvents, startTurn, type TurnEvent } from '../../support/turns.ts'
import {
  asciiJson,
  BROKEN_QUIRKS,
  EMPTY_TURNS,
  modelOfQuirk,
  modelOfWire,
  SOUND_QUIRKS,
  streamText,
  type Quirk,
} from '../../support/upstream-corpus.ts'

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

/** The texts of a legacy completion's chunks, and how it ended. */
const completionOf = (chunks: any[]): { text: string; ends: unknown[] } => {
  const choices = chunks.flatMap(chunk => chunk.choices)
  return {
    text: choices.map(({ text }) => text).join(''),
    ends: choices.flatMap(({ finish_reason: finish }) => finish ?? []),
  }
}

type Said = Pick<Quirk['expected'], 'content' | 'refusal' | 'calls' | 'finish'>

/** What a chat's choice says, for all who read it. */
const saidBy = ({ message, finish_reason: finish }: any): Said => ({
  content: message.content ?? '',
  refusal: message.refusal ?? '',
  calls: (message.tool_calls ?? []).map(({ function: { name, arguments: text } }: any) => ({ name, arguments: text })),
  finish,
})
const saidIn = (chunks: { choices: object[] }[]): Said => {
  const assembly = createAssembly()
  chunks.forEach(chunk => assembly.add(chunk))
  return saidBy(assembly.choices()[0])
}
const toBeSaid = ({ expected: { content, refusal, calls, finish } }: Quirk): Said => ({
  content,
  refusal,
  calls,
  finish,
})
const deltasOf = (events: readonly TurnEvent[]) =>
  events.filter(({ type }) => type === 'turn.delta').map(({ data }) => data as { choices: object[] })

const figuresOf = ({ input, output }: Record<string, unknown>) => ({ input, output })

function expectResponse(response: any, { expected }: Quirk): void {
  expect(outputTexts(response, 'text')).toBe(expected.content)
  expect(outputTexts(response, 'refusal')).toBe(expected.refusal)
  expect(outputCalls(response)).toEqual(expected.calls)
  expect(response.status).toBe(['length', 'content_filter'].includes(expected.finish) ? 'incomplete' : 'completed')
}

describe.each(SOUND_QUIRKS)('%s', (_name, quirk) => {
  const { expected } = quirk
  const model = modelOfWire(quirk)

  test('is told alike by chat, completions, Responses and turns', async () => {
    const tenant = await newTenant(db)
    const script = scriptOf(quirk)
    const { body } = await tenant.api.post(CHAT, chatOf(script, { model }))
    expect(saidBy(body.choices[0])).toEqual(toBeSaid(quirk))
    const { cache_creation_input_tokens: written } = body.usage.prompt_tokens_details ?? {}
    expect(written ?? 0).toBe(expected.usage?.['cacheWrites'] ?? 0)

    const chunks = dataOf((await tenant.api.post(CHAT, chatOf(script, { model, stream: true }))).text)
    expect(saidIn(chunks)).toEqual(toBeSaid(quirk))
    const ends = chunks.flatMap(({ choices }) => choices.flatMap((choice: any) => choice.finish_reason ?? []))
    expect(ends).toEqual([expected.finish])

    const prompted = { model, prompt: fakePrompt(script), max_tokens: 100 }
    const [choice] = (await tenant.api.post('/completions', prompted)).body.choices
    expect(choice).toMatchObject({ text: expected.content, finish_reason: expected.finish })
    const completed = dataOf((await tenant.api.post('/completions', { ...prompted, stream: true })).text)
    expect(completionOf(completed)).toEqual({ text: expected.content, ends: [expected.finish] })

    const asked = { model, input: fakePrompt(script) }
    const plain = await tenant.api.post('/responses', asked)
    expect(plain.status).toBe(200)
    expectResponse(plain.body, quirk)
    const streamed = dataOf((await tenant.api.post('/responses', { ...asked, stream: true })).text)
    expectResponse(streamed.at(-1).response, quirk)

    const events = await allTurnEvents(tenant.secret, await startTurn(tenant.api, script, { model }))
    expect(saidIn(deltasOf(events))).toEqual(toBeSaid(quirk))
    expect(events.at(-1)?.type).toBe('turn.completed')

    const { calls } = await booksOf(db, tenant)
    expect(calls).toHaveLength(7)
    expect(calls.every(({ status }) => status === 'completed')).toBe(true)
    const used = calls.map(({ tokens_in: input, tokens_out: output }) => ({ input, output }))
    // What cannot be believed is counted.
    const told = expected.usage === null ? { output: 1 } : figuresOf(expected.usage)
    expect(used).toMatchObject(Array(7).fill(told))
  })
})

test('a batch tells all of them as a chat does', async () => {
  const tenant = await newTenant(db)
  const rows = SOUND_QUIRKS.map(([name, quirk]) =>
    chatRow(name, fakePrompt(scriptOf(quirk)), { model: modelOfWire(quirk) }),
  )
  const batch = await untilEnded(tenant.api, await startBatch(tenant.api, rows))
  const lines = await linesOfFile(tenant.api, batch.output_file_id)
  const said = new Map(lines.map(({ custom_id: name, response }) => [name, saidBy(response.body.choices[0])]))
  expect(said).toEqual(new Map(SOUND_QUIRKS.map(([name, quirk]) => [name, toBeSaid(quirk)])))
})

test.each(BROKEN_QUIRKS)('%s is a 503 that costs nothing', async (name, quirk) => {
  const tenant = await newTenant(db)
  const script = { ...scriptOf(quirk), id: tenant.keyId }
  const model = modelOfQuirk(name)
  for (const stream of [false, true]) {
    expect((await tenant.api.post(CHAT, chatOf(script, { model, stream }))).status).toBe(503)
    const asked = { model, input: fakePrompt(script), stream }
    expect((await tenant.api.post('/responses', asked)).status).toBe(503)
    const prompted = { model: modelOfQuirk(`${name}-text`), prompt: fakePrompt(script), stream }
    expect((await tenant.api.post('/completions', prompted)).status).toBe(503)
  }
  expect(await fakeCalls(upstreamUrl, tenant.keyId)).toHaveLength(6)
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

/** A stream that says something, and then that its upstream is overloaded. */
const HALF_SAID = {
  wire: 'anthropic' as const,
  done: false,
  stream: [
    { type: 'message_start', message: { usage: { input_tokens: 10, output_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'half' } },
    { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
  ],
}

test('an error of Anthropic within a stream is told as its end by every surface, and never as success', async () => {
  const tenant = await newTenant(db)
  const script = { id: tenant.keyId, raw: { stream: streamText(HALF_SAID), reply: '{}' } }
  const model = 'test/messages'
  const ended = { error: { code: 'service_unavailable', type: 'upstream_error' } }
  const chat = await tenant.api.post(CHAT, chatOf(script, { model, stream: true }))
  const completion = await tenant.api.post('/completions', { model, prompt: fakePrompt(script), stream: true })
  for (const { text } of [chat, completion]) {
    expect(text).toContain('half')
    expect(dataOf(text).at(-1)).toMatchObject(ended)
    expect(text).not.toContain('[DONE]')
  }
  const response = await tenant.api.post('/responses', { model, input: fakePrompt(script), stream: true })
  expect(dataOf(response.text).at(-1)).toMatchObject({ type: 'response.failed', response: { status: 'failed' } })
  const events = await allTurnEvents(tenant.secret, await startTurn(tenant.api, script, { model }))
  expect(events.at(-1)?.type).toBe('turn.failed')
  const { calls } = await booksOf(db, tenant)
  expect(calls.map(({ status }) => status)).toEqual(Array(4).fill('failed'))
  // What was delivered is charged, and of the turn, whose text is void, nothing.
  expect(calls.map(({ tokens_out: output }) => output)).toEqual([1, 1, 1, 0])
})
