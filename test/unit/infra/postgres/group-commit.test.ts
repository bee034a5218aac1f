import { describe, expect, test } from '@jest/globals'
import { createGroupCommit } from '../../../../infra/postgres/group-commit.ts'
import { DatabaseUnavailable } from '../../../../infra/postgres/database.ts'
import { deferred, settled } from '../../fixtures.ts'

const away = () => new DatabaseUnavailable('the database connection broke')
const deadlock = () => Object.assign(new Error('deadlock detected'), { code: '40P01' })
const outOfTime = () => Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' })
const violation = () => Object.assign(new Error('null value'), { code: '23502' })

/** Commits that return when told. */
function held() {
  const groups: { items: string[]; done: ReturnType<typeof deferred<string[]>> }[] = []
  const commit = (items: string[]) => {
    const done = deferred<string[]>()
    groups.push({ items, done })
    return done.promise
  }
  const finish = async (index: number) => {
    const group = groups[index]
    group?.done.resolve(group.items.map(item => `${item}!`))
    await settled()
  }
  return { groups, commit, finish, itemsOf: () => groups.map(({ items }) => items) }
}

describe('groups', () => {
  test('the first leaves at once, alone; all that come meanwhile leave together when it returns', async () => {
    const { commit, finish, itemsOf } = held()
    const add = createGroupCommit(commit)
    const results = ['a', 'b', 'c'].map(add)
    expect(itemsOf()).toEqual([['a']])
    await settled()
    expect(itemsOf()).toEqual([['a']])
    await finish(0)
    expect(itemsOf()).toEqual([['a'], ['b', 'c']])
    const late = add('d')
    await finish(1)
    await finish(2)
    expect(itemsOf()).toEqual([['a'], ['b', 'c'], ['d']])
    expect(await Promise.all([...results, late])).toEqual(['a!', 'b!', 'c!', 'd!'])
  })

  test('one that comes after a pause leaves at once again', async () => {
    const { commit, finish, itemsOf } = held()
    const add = createGroupCommit(commit)
    void add('a')
    await finish(0)
    void add('b')
    expect(itemsOf()).toEqual([['a'], ['b']])
  })

  test('have no more than the limit', async () => {
    const sizes: number[] = []
    const add = createGroupCommit<number, number>(
      async items => {
        sizes.push(items.length)
        await settled()
        return items
      },
      { groupLimit: 3 },
    )
    const items = [1, 2, 3, 4, 5, 6, 7, 8]
    expect(await Promise.all(items.map(add))).toEqual(items)
    expect(sizes).toEqual([1, 3, 3, 1])
  })
})

describe('failures', () => {
  test('a bad item fails alone', async () => {
    const commits: string[][] = []
    const add = createGroupCommit<string, string>(async items => {
      commits.push(items)
      await settled()
      if (items.includes('bad')) throw violation()
      return items
    })
    const outcomes = await Promise.allSettled(['a', 'b', 'bad', 'c'].map(add))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    expect(commits).toEqual([['a'], ['b', 'bad', 'c'], ['b'], ['bad'], ['c']])
  })

  test('one that fails alone is not tried again, and the next goes on', async () => {
    let calls = 0
    const add = createGroupCommit<string, string>(async items => {
      calls += 1
      if (items.includes('bad')) throw violation()
      return items
    })
    await expect(add('bad')).rejects.toThrow('null value')
    await expect(add('good')).resolves.toBe('good')
    expect(calls).toBe(2)
  })

  test.each([
    ['away', away],
    ['in a deadlock', deadlock],
    ['out of time for a statement', outOfTime],
  ])('a database that is %s is tried again with the same group', async (_what, failure) => {
    const commits: string[][] = []
    const add = createGroupCommit<string, string>(async items => {
      commits.push(items)
      if (commits.length <= 2) throw failure()
      return items
    })
    await expect(Promise.all(['a', 'b'].map(add))).resolves.toEqual(['a', 'b'])
    expect(commits).toEqual([['a'], ['a'], ['a'], ['b']])
  })

  test('patience ends: everybody of the group is told, and the next is tried anew', async () => {
    let isUnreachable = true
    const add = createGroupCommit<string, string>(
      async items => {
        await settled()
        if (isUnreachable) throw away()
        return items
      },
      { retryForMs: 10 },
    )
    const outcomes = await Promise.allSettled(['a', 'b', 'c'].map(add))
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    isUnreachable = false
    await expect(add('d')).resolves.toBe('d')
  })
})
