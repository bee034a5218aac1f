import { alternate, rowsOf } from '../rounds.mjs'
import { withTargets } from '../targets.mjs'

const SECONDS = 4
const ASK = { path: '/embeddings', model: 'bench-embedding', connections: 32 }

export const title = 'Embeddings: one text, 1,536 dimensions, 32 connections'

export async function run(context) {
  const options = { ...context, seconds: context.seconds ?? SECONDS }
  const seen = await withTargets(context, targets => alternate(targets, ASK, options))
  return { rows: rowsOf(seen), goals: [] }
}
