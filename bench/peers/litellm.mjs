import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { CACHE, freePort, startServer } from '../child.mjs'

const run = promisify(execFile)
const VERSION = '1.106.2'
const FOLDER = `${CACHE}litellm-${VERSION}`
const PROGRAM = `${FOLDER}/bin/litellm`
const WORKERS = 2

export const name = 'litellm'

/** LiteLLM's proxy as its documentation sets it up for production, with a key that it checks, but without a database. */
export async function start(mockUrl) {
  if (!existsSync(PROGRAM)) await install()
  const config = `${CACHE}litellm.yaml`
  await writeFile(config, JSON.stringify(configOf(mockUrl)))
  const key = `sk-${randomBytes(24).toString('hex')}`
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const { pid, stop } = await startServer({
    name,
    command: PROGRAM,
    args: ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--num_workers', String(WORKERS)],
    env: {
      LITELLM_MASTER_KEY: key,
      LITELLM_LOG: 'ERROR',
      LITELLM_MODE: 'PRODUCTION',
      LITELLM_LOCAL_MODEL_COST_MAP: 'True',
    },
    url: `${origin}/health/liveliness`,
  })
  return { url: `${origin}/v1`, key, pid, stop }
}

/** JSON, which is YAML too. */
const configOf = mockUrl => ({
  model_list: ['bench', 'bench-embedding'].map(model => ({
    model_name: model,
    litellm_params: { model: `openai/${model}`, api_base: mockUrl, api_key: 'none' },
  })),
  litellm_settings: { set_verbose: false, telemetry: false },
})

/** Whole or not at all: what a failed install left would look installed. */
async function install() {
  try {
    await run('python3', ['-m', 'venv', FOLDER])
    const quiet = ['--quiet', '--disable-pip-version-check']
    await run(`${FOLDER}/bin/pip`, ['install', ...quiet, `litellm[proxy]==${VERSION}`], { maxBuffer: 2 ** 26 })
  } catch (error) {
    await rm(FOLDER, { recursive: true, force: true })
    throw error.code === 'ENOENT' ? new Error('it needs python3') : error
  }
}
