import type { Readable } from 'node:stream'
import { Type, type TSchema } from 'typebox'
import type { BinaryReply } from './route.ts'

const CSV = 'text/csv'

/** What an export answers with, by content type. */
export const exportContent = (json: TSchema): Record<string, TSchema> => ({
  'application/json': json,
  [CSV]: Type.String(),
})

/** An export as `Accept` asks: JSON, or CSV as a file of that name. */
export async function exportReply(
  accept: string | undefined,
  filename: string,
  made: { json: () => Readable | Promise<Readable>; csv: () => Readable },
): Promise<BinaryReply> {
  if (!(accept ?? '').includes(CSV)) return { contentType: 'application/json; charset=utf-8', body: await made.json() }
  return {
    contentType: `${CSV}; charset=utf-8`,
    headers: { 'content-disposition': `attachment; filename="${filename}.csv"` },
    body: made.csv(),
  }
}
