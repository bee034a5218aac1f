import { describe, expect, test } from '@jest/globals'
import { Type } from 'typebox'
import { idCursor, listView, opaqueCursor, readPage } from '../../../domain/core/pages.ts'
import { newId } from '../../../domain/core/ids.ts'
import { DomainError } from '../../../domain/core/errors.ts'
import { refusalOf, rejectedBy } from '../fixtures.ts'

const files = Array.from({ length: 5 }, (_, index) => ({ id: newId('file'), at: index }))
const options = { cursor: idCursor('file'), size: 3 }

/** Reads as SQL does: so many at most behind the place, in the order. */
const select = async ({ after, limit, order }: { after: string | undefined; limit: number; order: string }) => {
  const all = order === 'asc' ? files : files.toReversed()
  return all.slice(after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1).slice(0, limit)
}

describe("OpenAI's list", () => {
  test.each<[object, number[], boolean]>([
    [{}, [4, 3, 2], true],
    [{ limit: 5 }, [4, 3, 2, 1, 0], false],
    [{ limit: 1, order: 'asc' }, [0], true],
    [{ after: files[2]?.id }, [1, 0], false],
    [{ after: files[2]?.id, order: 'asc' }, [3, 4], false],
    [{ after: files[0]?.id }, [], false],
  ])('of %j', async (query, seen, hasMore) => {
    const page = await readPage(query, options, select)
    expect(page.rows.map(({ at }) => at)).toEqual(seen)
    expect(listView(page, row => row)).toMatchObject({
      has_more: hasMore,
      first_id: files[seen[0] ?? -1]?.id ?? null,
      last_id: files[seen.at(-1) ?? -1]?.id ?? null,
    })
    expect(page.nextCursor).toBe(hasMore ? page.rows.at(-1)?.id : undefined)
  })
})

describe('an opaque cursor', () => {
  const cursor = opaqueCursor(Type.Object({ at: Type.Integer() }), (row: { at: number }) => ({ at: row.at }))
  const rows = [7, 7, 5, 3].map(at => ({ at }))
  const read = (after?: string) =>
    readPage(after === undefined ? {} : { after }, { cursor, size: 2, param: 'cursor' }, async page =>
      rows.filter(({ at }) => page.after === undefined || at < page.after.at).slice(0, page.limit),
    )

  test('leads through the list', async () => {
    const first = await read()
    expect(first.rows).toEqual(rows.slice(0, 2))
    expect(await read(first.nextCursor)).toEqual({ rows: rows.slice(2), hasMore: false, nextCursor: undefined })
  })

  test.each(['', 'x', '%', 'e30', Buffer.from('{"at":"7"}').toString('base64url')])(
    'that is %j is none',
    async text => {
      const refusal = refusalOf(await rejectedBy(DomainError, read(text)))
      expect(refusal).toMatchObject({ status: 400, param: 'cursor' })
    },
  )
})

test("another list's id is no cursor", async () => {
  const refusal = refusalOf(await rejectedBy(DomainError, readPage({ after: newId('batch') }, options, select)))
  expect(refusal).toMatchObject({ status: 400, param: 'after' })
})
