import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { CACHE, freePort, startServer } from '../child.mjs'

const VERSION = '1.15.2'
/** It names a range of this server whose later versions break its streams (Portkey-AI/gateway#1389); this is its own lockfile's. */
const PACKAGE = {
  private: true,
  dependencies: { '@portkey-ai/gateway': VERSION },
  overrides: { '@hono/node-server': '1.13.5' },
}
const FOLDER = `${CACHE}portkey-${VERSION}`
const PROGRAM = `${FOLDER}/node_modules/@portkey-ai/gateway/build/start-server.js`

export const name = 'portkey'

/** Portkey's gateway, routed to the mock by headers; no database, no cache, no log of requests. */
export async function start(mockUrl) {
  if (!existsSync(PROGRAM)) await install()
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const { pid, stop } = await startServer({
    name,
    command: process.execPath,
    args: [PROGRAM, '--headless', `--port=${port}`],
    env: { NODE_ENV: 'production' },
    url: origin,
  })
  const headers = ['x-portkey-provider: openai', `x-portkey-custom-host: ${mockUrl}`]
  return { url: `${origin}/v1`, headers, pid, stop }
}

async function install() {
  await mkdir(FOLDER, { recursive: true })
  await writeFile(`${FOLDER}/package.json`, JSON.stringify(PACKAGE))
  const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--loglevel=error']
  await promisify(execFile)('npm', ['install', '--prefix', FOLDER, ...quiet])
}
