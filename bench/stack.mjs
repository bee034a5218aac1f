import { execFile } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort, startChild } from './child.mjs'

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const MODEL = {
  id: 'bench',
  display_name: 'Bench',
  owned_by: 'bench',
  tier: 'catalog',
  latency_class: 'low',
  recommended_for: [],
  capabilities: ['chat', 'streaming'],
  max_input_tokens: 100_000,
  max_output_tokens: 10_000,
  price: { input: 0.1, cached_input: 0.1, output: 0.1 },
  routes: [{ upstream: 'openrouter', model: 'bench' }],
}
const EMBEDDING_MODEL = {
  ...MODEL,
  id: 'bench-embedding',
  capabilities: ['embeddings'],
  max_output_tokens: 0,
  routes: [{ upstream: 'openrouter', model: 'bench-embedding' }],
}
/** The bench never measures on, nor writes to, what the environment names elsewhere. */
const EMBEDDED = { DATABASE_URL: '', TEMPORAL_ADDRESS: '', S3_ENDPOINT: '', NODE_ENV: '', METRICS_PORT: '' }

/**
 * The whole embedded stack over the given upstream, as `npm start` runs it. `models` are further entries of its
 * catalog. `pids` are by name: api, control, model, provider-jobs, postgres, temporal.
 */
export async function startStack(upstreamUrl, { models = [], env = {} } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'ipop-bench-'))
  const dataDir = env.DATA_DIR ?? join(folder, 'data')
  const catalog = join(folder, 'catalog.json')
  await writeFile(catalog, JSON.stringify({ models: [MODEL, EMBEDDING_MODEL, ...models] }))
  const port = await freePort()
  const own = {
    DATA_DIR: dataDir,
    PORT: String(port),
    DEFAULT_REQUESTS_PER_MINUTE: '0',
    OPENROUTER_BASE_URL: upstreamUrl,
    CATALOG_FILE: catalog,
    LOG_LEVEL: 'warn',
  }
  const stackEnv = { ...process.env, ...EMBEDDED, ...own, ...env }
  const { child, ended, stop } = startChild(process.execPath, [MAIN, 'start'], {
    env: stackEnv,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // At once, since the bench may end as soon as the stack has.
  const cleaned = ended.then(() => rmSync(folder, { recursive: true, force: true }))
  const key = await announcedKey(child, ended)
  const { processes, databaseUrl } = JSON.parse(readFileSync(join(dataDir, 'stack.json'), 'utf8'))
  return {
    url: `http://127.0.0.1:${port}/v1`,
    key,
    model: MODEL.id,
    pids: pidsOf(processes),
    databaseUrl,
    dataDir,
    ipop: (...args) => operator(stackEnv, args),
    stop: async () => {
      await stop('SIGINT')
      await cleaned
    },
  }
}

const pidsOf = processes =>
  Object.fromEntries(Object.entries(processes).map(([name, { pid }]) => [name.replace('worker ', ''), pid]))

/** An operator's command on the stack; gives what it prints, and fails where it does. */
async function operator(env, args) {
  try {
    return (await promisify(execFile)(process.execPath, [MAIN, ...args], { env, maxBuffer: 2 ** 26 })).stdout
  } catch (error) {
    throw new Error(`ipop ${args.join(' ')} failed: ${error.stdout}${error.stderr}`)
  }
}

/** Resolves when the stack has printed that it is ready. */
async function announcedKey(child, ended) {
  let text = ''
  const announced = new Promise(resolve => {
    child.stdout.on('data', part => {
      text += String(part)
      const [, key] = /API key +(ipop_[\w-]+)[^]*Ctrl-C/.exec(text) ?? []
      if (key !== undefined) resolve({ key })
    })
  })
  const { key } = await Promise.race([announced, ended.then(() => ({}))])
  if (key === undefined) throw new Error(`the stack ended with ${await ended}: ${text}`)
  return key
}
