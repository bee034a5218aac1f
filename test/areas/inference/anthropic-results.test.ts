import { expect, test } from '@jest/globals'
import { chatRow, startBatch, untilEnded } from '../../support/batches.ts'
import { CHAT, upstreamCallsOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt } from '../../support/fake-upstream.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { allTurnEvents } from '../../support/turns.ts'
import { asciiJson, QUIRKS, streamText } from '../../support/upstream-corpus.ts'

const db = testDatabase()
const model = 'test/messages'
const [, quirk] = QUIRKS.find(([name]) => name === 'anthropic-text') ?? []
if (quirk === undefined) throw new Error('the corpus has no text of Anthropic')
const raw = { stream: streamText(quirk), reply: asciiJson(quirk.reply) }

const promptOf = ({ keyId: id }: Tenant): string => fakePrompt({ id, raw })
const call = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } })
const result = (id: string) => ({ role: 'tool', tool_call_id: id, content: id })
/** Two calls, and their results behind what the user said meanwhile. */
const messagesOf = (tenant: Tenant): object[] => [
  { role: 'user', content: 'Call both.' },
  { role: 'assistant', content: null, tool_calls: [call('a'), call('b')] },
  { role: 'user', content: promptOf(tenant) },
  result('a'),
  { role: 'system', content: 'Be brief.' },
  result('b'),
]
const itemsOf = (tenant: Tenant): object[] => [
  { role: 'user', content: 'Call both.' },
  ...['a', 'b'].map(id => ({ type: 'function_call', call_id: id, name: 'f', arguments: '{}' })),
  { role: 'user', content: promptOf(tenant) },
  ...['a', 'b'].map(id => ({ type: 'function_call_output', call_id: id, output: id })),
]

const SURFACES: [string, (tenant: Tenant) => Promise<unknown>][] = [
  ['a chat', tenant => tenant.api.post(CHAT, { model, messages: messagesOf(tenant) })],
  ['a stream', tenant => tenant.api.post(CHAT, { model, messages: messagesOf(tenant), stream: true })],
  ['a response', tenant => tenant.api.post('/responses', { model, input: itemsOf(tenant) })],
  [
    'a response in the background',
    async tenant => {
      const { body } = await tenant.api.post('/responses', { model, input: itemsOf(tenant), background: true })
      await tenant.api.get(`/responses/${body.id}?stream=true`)
    },
  ],
  [
    'a turn',
    async tenant => {
      const { body } = await tenant.api.post('/agent-turns', { model, messages: messagesOf(tenant) })
      await allTurnEvents(tenant.secret, body.request_id as string)
    },
  ],
  [
    'a row of a batch',
    async tenant => {
      const row = chatRow('row', '', { model, messages: messagesOf(tenant) })
      await untilEnded(tenant.api, await startBatch(tenant.api, [row]))
    },
  ],
]

test.each(SURFACES)('of %s results of tools stand first in the message of the user', async (_, ask) => {
  const tenant = await newTenant(db)
  await ask(tenant)
  const [asked, ...others] = await upstreamCallsOf(tenant)
  expect(others).toEqual([])
  const turns = asked?.body.messages as { role: string; content: { type: string; tool_use_id?: string }[] }[]
  expect(turns.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
  expect(turns[2]?.content.map(({ type, tool_use_id: id }) => id ?? type)).toEqual(['a', 'b', 'text'])
})
