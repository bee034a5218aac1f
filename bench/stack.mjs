import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const MODEL = {
  id: 'bench/stream',
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

async function freePort() {
  const server = createServer()
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

/** The whole embedded stack over the given upstream, as `npm start` runs it. */
export async function startStack(upstreamUrl) {
  const dataDir = await mkdtemp(join(tmpdir(), 'ipop-bench-'))
  const catalog = join(dataDir, 'catalog.json')
  await writeFile(catalog, JSON.stringify({ models: [MODEL] }))
  const port = await freePort()
  const child = spawn(process.execPath, [MAIN, 'start'], {
    env: {
      ...process.env,
      DATA_DIR: join(dataDir, 'data'),
      PORT: String(port),
      OPENROUTER_BASE_URL: upstreamUrl,
      CATALOG_FILE: catalog,
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const key = await announcedKey(child)
  return {
    url: `http://127.0.0.1:${port}/v1`,
    key,
    model: MODEL.id,
    stop: async () => {
      const exited = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGINT')
      await exited
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Resolves when the stack has printed that it is ready. */
function announcedKey(child) {
  return new Promise((resolve, reject) => {
    let text = ''
    child.once('exit', code => reject(new Error(`the stack ended with ${code}: ${text}`)))
    child.stdout.on('data', part => {
      text += String(part)
      const [, key] = /API key +(ipop_[\w-]+)[^]*Ctrl-C/.exec(text) ?? []
      if (key !== undefined) resolve(key)
    })
  })
}
