import type { Readable } from 'node:stream'
import { Type, type TSchema } from 'typebox'
import { Bytes, bytes, type BytesSpec } from './gives.ts'

const CSV = 'text/csv'

/** What an export answers with: JSON of the schema, or CSV. */
export const exported = (json: TSchema): BytesSpec => bytes({ 'application/json': json, [CSV]: Type.String() })

/** An export as `Accept` asks: JSON, or CSV as a file of that name. */
export async function exportReply(
  accept: string | undefined,
  filename: string,
  made: { json: () => Readable | Promise<Readable>; csv: () => Readable },
): Promise<Bytes> {
  if (!(accept ?? '').includes(CSV))
    return new Bytes(await made.json(), { contentType: 'application/json; charset=utf-8' })
  return new Bytes(made.csv(), {
    contentType: `${CSV}; charset=utf-8`,
    headers: { 'content-disposition': `attachment; filename="${filename}.csv"` },
  })
}
