import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accessOf, isMcpTool } from '../../../../domain/work/tool-batches/tool-access.rules.ts'
import { planToolBatch, workspacePolicyOf } from '../../../../domain/work/tool-batches/tool-batch.rules.ts'

const call = (id: string, name: string, args = '{}') => ({
  id,
  type: 'function' as const,
  function: { name, arguments: args },
})
const plan = (calls: Parameters<typeof planToolBatch>[0], policy = '') =>
  planToolBatch(calls, workspacePolicyOf(policy))
const named = (...names: string[]) => names.map((name, index) => call(String(index), name))
const groupsOf = (...names: string[]) => plan(named(...names)).groups.map(group => group.tool_call_ids.join())

describe('a tool', () => {
  test.each([
    ['read_file', 'read'],
    ['readFile', 'read'],
    ['Grep', 'read'],
    ['list-directory', 'read'],
    ['git_diff', 'read'],
    ['web_search', 'read'],
    ['mcp__github__get_issue', 'unknown'],
    ['write_file', 'write'],
    ['apply_patch', 'write'],
    ['editNotebook', 'write'],
    ['bash', 'unknown'],
    ['run_terminal_command', 'unknown'],
    ['read_and_delete', 'unknown'],
    ['search_replace', 'unknown'],
    ['do_the_thing', 'unknown'],
    ['', 'unknown'],
  ])('%s is taken as %s', (name, access) => {
    expect(accessOf(name)).toBe(access)
  })

  test('of an MCP server is known by its name', () => {
    expect(['mcp__a__b', 'mcp.a.b', 'MCP-x', 'mcp'].map(isMcpTool)).toEqual([true, true, true, true])
    expect(['mcproxy', 'read_mcp'].map(isMcpTool)).toEqual([false, false])
  })
})

describe('a plan', () => {
  test('runs neighbouring reads at once, and all else alone', () => {
    expect(groupsOf('read_file', 'grep', 'write_file', 'read_file', 'bash', 'bash')).toEqual([
      '0,1',
      '2',
      '3',
      '4',
      '5',
    ])
    expect(plan([])).toEqual({ groups: [], decisions: [] })
  })

  test('refuses what must not run, with the reason, and lets it stand between nobody', () => {
    const calls = [
      call('a', 'read_file'),
      call('b', 'read_file', '{"path":'),
      call('c', 'read_file', '[]'),
      call('a', 'write_file'),
      call('d', 'mcp__x__read'),
      call('e', 'read_file'),
    ]
    const { groups, decisions } = plan(calls)
    expect(groups).toEqual([{ index: 0, mode: 'parallel', tool_call_ids: ['a', 'e'] }])
    expect(decisions.map(one => [one.decision, one.reason.split(' ').slice(0, 3).join(' ')])).toEqual([
      ['run', 'Only reads: runs'],
      ['refuse', 'Its arguments are'],
      ['refuse', 'Its arguments are'],
      ['refuse', 'Another call before'],
      ['refuse', 'The workspace policy'],
      ['run', 'Only reads: runs'],
    ])
  })

  test('follows the policy of the workspace', () => {
    const calls = named('mcp__x__read', 'write_file', 'grep')
    const run = (policy: string) => plan(calls, policy).decisions.map(one => one.decision)
    expect(run('')).toEqual(['refuse', 'run', 'run'])
    expect(run('allow_mcp')).toEqual(['run', 'run', 'run'])
    expect(run('read_only, allow_mcp')).toEqual(['refuse', 'refuse', 'run'])
    expect(run('whatever')).toEqual(['refuse', 'run', 'run'])
  })
})

describe('any plan', () => {
  const calls = fc.array(
    fc.record({
      id: fc.constantFrom('1', '2', '3', '4', '5', '6', '7', '8', '9'),
      name: fc.constantFrom('read_file', 'grep', 'write_file', 'bash', 'mcp__x__y', '__proto__'),
      args: fc.constantFrom('{}', '{"a":1}', '[]', 'null', '{', ''),
    }),
    { maxLength: 20 },
  )
  const policies = fc.constantFrom('', 'allow_mcp', 'read_only', 'allow_mcp read_only')

  test('keeps the order, decides on each call once, and gives reads alone to parallel groups', () => {
    fc.assert(
      fc.property(calls, policies, (given, policy) => {
        const asked = given.map(({ id, name, args }) => call(id, name, args))
        const { groups, decisions } = plan(asked, policy)
        expect(decisions.map(one => [one.tool_call_id, one.name])).toEqual(given.map(({ id, name }) => [id, name]))
        const running = decisions.filter(one => one.decision === 'run')
        expect(groups.flatMap(group => group.tool_call_ids)).toEqual(running.map(one => one.tool_call_id))
        expect(running.map(one => one.group)).toEqual(running.map(one => one.group).toSorted((a = 0, b = 0) => a - b))
        for (const group of groups) {
          const accesses = running.filter(one => one.group === group.index).map(one => one.access)
          const isParallel = accesses.every(access => access === 'read')
          expect([group.mode, isParallel || accesses.length === 1]).toEqual([isParallel ? 'parallel' : 'serial', true])
        }
        const modes = groups.map(group => group.mode).join()
        expect(modes).not.toContain('parallel,parallel')
        expect(plan(structuredClone(asked), policy)).toEqual({ groups, decisions })
      }),
    )
  })
})
