import { expect, test } from '@jest/globals'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const PLAN = '/agent-tool-batches/plan'
const call = (id: string, name: string) => ({ id, type: 'function', function: { name, arguments: '{}' } })

test('a plan groups reads, keeps their order with writes, and costs nothing', async () => {
  const { api } = await newTenant(db, { creditUsd: '0' })
  const tool_calls = [call('a', 'read_file'), call('b', 'grep'), call('c', 'edit_file'), call('d', 'mcp__x__y')]
  const { status, body } = await api.post(PLAN, { schema_version: 1, client: 'test', tool_calls, unknown: 1 })
  expect(status).toBe(200)
  expect(body).toMatchObject({
    object: 'agent_tool_batch_plan',
    schema_version: 1,
    groups: [
      { index: 0, mode: 'parallel', tool_call_ids: ['a', 'b'] },
      { index: 1, mode: 'serial', tool_call_ids: ['c'] },
    ],
    decisions: [{ group: 0 }, { group: 0 }, { group: 1 }, { decision: 'refuse' }],
  })
  const allowed = await api.post(PLAN, { schema_version: 1, tool_calls, workspace_policy: 'allow_mcp' })
  expect(allowed.body.decisions[3]).toMatchObject({ decision: 'run', group: 2 })
})

test.each([
  [{ schema_version: 2, tool_calls: [] }, 'schema_version'],
  [
    { schema_version: 1, tool_calls: [{ id: 'a', type: 'function', function: { name: 'x' } }] },
    'tool_calls.0.function.arguments',
  ],
  [
    { schema_version: 1, tool_calls: [{ id: 'a', type: 'custom', function: { name: 'x', arguments: '' } }] },
    'tool_calls.0.type',
  ],
  [
    { schema_version: 1, tool_calls: Array.from({ length: 513 }, (_, index) => call(String(index), 'x')) },
    'tool_calls',
  ],
])('%j is refused by name', async (body, param) => {
  const { api } = await newTenant(db)
  expectError(await api.post(PLAN, body), 400, { param })
})
