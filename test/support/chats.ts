import { parseUsd, type Nanos } from '../../domain/money/ledger/money.rules.ts'
import type { Database } from '../../infra/postgres/database.ts'
import type { ApiReply } from './client.ts'
import { expectError } from './errors.ts'
import { fakeCalls, fakePrompt, type FakeScript } from './fake-upstream.ts'
import { testStack } from './stack.ts'
import { newTenant, type Tenant, type TenantOptions } from './tenants.ts'

export const CHAT = '/chat/completions'

/** A chat request whose upstream call does as the script says. */
export const chatOf = (script: FakeScript, body: object = {}): { model: string; messages: object[] } => ({
  model: 'test/plain',
  messages: [{ role: 'user', content: fakePrompt(script) }],
  ...body,
})

/** A message of parts: the script, then what is given. */
export const partsOf = (script: FakeScript, ...parts: object[]): object => ({
  role: 'user',
  content: [{ type: 'text', text: fakePrompt(script) }, ...parts],
})

export const contentOf = (completion: any): string | null => completion.choices[0].message.content as string | null

/** The most that the chat may cost, as it is told to a tenant who cannot pay it. */
export async function worstCaseOf({ api }: Tenant, chat: object): Promise<Nanos> {
  const { message = '' } = expectError(await api.post(CHAT, chat), 402)
  return parseUsd(/up to ([\d.]+) USD/.exec(message)?.[1] ?? '') ?? 0n
}

type UpstreamCalls = Awaited<ReturnType<typeof fakeCalls>>

/** The calls that the upstream saw whose script has the key's id as its own. */
export const upstreamCallsOf = ({ keyId }: Tenant): Promise<UpstreamCalls> => fakeCalls(testStack().upstreamUrl, keyId)

/** A call of a new tenant, and what the upstream got for it. */
export async function tryChat(
  db: Database,
  body: object = {},
  script: FakeScript = {},
  options: TenantOptions = {},
): Promise<{ tenant: Tenant; reply: ApiReply; calls: UpstreamCalls }> {
  const tenant = await newTenant(db, options)
  const reply = await tenant.api.post(CHAT, chatOf({ ...script, id: tenant.keyId }, body))
  return { tenant, reply, calls: await upstreamCallsOf(tenant) }
}
