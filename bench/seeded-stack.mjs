import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CACHE } from './child.mjs'
import { rounded } from './figures.mjs'
import { seedCalls } from './seed.mjs'

const MIGRATIONS = fileURLToPath(new URL('../infra/postgres/migrations/', import.meta.url))
const SEED = fileURLToPath(new URL('./seed.mjs', import.meta.url))
const MARK = 'seeded.json'

/**
 * A stack whose database holds so many calls of one owner. It is kept in the cache folder, and made again only where the
 * migrations, the seed or the number are others. It is started anew after it was seeded: what it caches is true.
 */
export async function startSeededStack({ mockUrl, startStack, log }, { count, days }) {
  const prefix = `seeded-${count}-`
  const folder = `${prefix}${versionOf(days)}`
  for (const other of existsSync(CACHE) ? readdirSync(CACHE) : []) {
    if (other.startsWith(prefix) && other !== folder) rmSync(join(CACHE, other), { recursive: true })
  }
  const dataDir = join(CACHE, folder)
  const start = () => startStack(mockUrl, { env: { DATA_DIR: dataDir } })
  if (existsSync(join(dataDir, MARK))) return start()
  rmSync(dataDir, { recursive: true, force: true })
  await seeded(await start(), { count, days }, log)
  return start()
}

async function seeded(stack, { count, days }, log) {
  try {
    log(`seeding ${count} calls, once`)
    const seconds = await seedCalls(stack, { count, days }, log)
    log(`seeded in ${rounded(seconds)} s`)
    writeFileSync(join(stack.dataDir, MARK), JSON.stringify({ count, days, seconds }))
  } finally {
    await stack.stop()
  }
}

function versionOf(days) {
  const hash = createHash('sha256').update(`${days} ${readFileSync(SEED, 'utf8')}`)
  for (const file of readdirSync(MIGRATIONS).toSorted()) hash.update(readFileSync(join(MIGRATIONS, file)))
  return hash.digest('hex').slice(0, 12)
}
