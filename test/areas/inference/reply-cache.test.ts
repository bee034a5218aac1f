import { randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { selectReply, upsertReply, type CachedReply } from '../../../domain/inference/chat/reply-cache.sql.ts'
import { testDatabase } from '../../support/database.ts'

const db = testDatabase()
const MOST = { lifeSeconds: 60, mostReplies: 3, mostBytes: 2_000 }
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
const reply = (text: string): CachedReply => ({ choices: [{ message: { content: text } }], usage, sandbox: false })
const newOwner = () => ({ userId: `user_${randomBytes(8).toString('hex')}`, projectId: null })
const digest = (name: number) => Buffer.alloc(32, name)

/** Keeps replies to requests 1, 2, … of that many characters; gives which of them are still there. */
async function keptOf(lengths: number[], owner = newOwner()): Promise<number[]> {
  for (const [index, length] of lengths.entries())
    await upsertReply(db, owner, digest(index + 1), JSON.stringify(reply('x'.repeat(length))), MOST)
  const found = await Promise.all(lengths.map((_, index) => selectReply(db, owner, digest(index + 1))))
  return found.flatMap((one, index) => (one === undefined ? [] : [index + 1]))
}

test.each<[string, number[], number[]]>([
  ['all of a few', [1, 1, 1], [1, 2, 3]],
  ['the newest of many', [1, 1, 1, 1, 1], [3, 4, 5]],
  ['the newest of large ones', [800, 800, 800], [2, 3]],
  ['one that is large, and none before it', [1, 1, 1_850], [3]],
])('an account has in the cache %s', async (_what, lengths, kept) => {
  expect(await keptOf(lengths)).toEqual(kept)
})

test('a reply that takes the place of an older one needs no more room', async () => {
  const owner = newOwner()
  await keptOf([800, 800], owner)
  await upsertReply(db, owner, digest(1), JSON.stringify(reply('y'.repeat(800))), MOST)
  expect((await selectReply(db, owner, digest(1)))?.choices).toEqual(reply('y'.repeat(800)).choices)
  expect(await selectReply(db, owner, digest(2))).toBeDefined()
})

test('the replies of another account, and those of its other projects, are counted apart and together', async () => {
  const [owner, other] = [newOwner(), newOwner()]
  await upsertReply(db, other, digest(9), JSON.stringify(reply('a')), MOST)
  await upsertReply(db, { ...owner, projectId: 'project_a' }, digest(9), JSON.stringify(reply('a')), MOST)
  expect(await keptOf([1, 1, 1], owner)).toEqual([1, 2, 3])
  expect(await selectReply(db, other, digest(9))).toBeDefined()
  expect(await selectReply(db, { ...owner, projectId: 'project_a' }, digest(9))).toBeUndefined()
})
