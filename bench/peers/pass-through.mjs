// A bare proxy in the same language with the same parts, Koa and undici: what is left when nothing is done for a call.
// It does not authenticate, validate, price, bill or record.
import Koa from 'koa'
import { Pool } from 'undici'
import { fileURLToPath } from 'node:url'
import { freePort, startServer } from '../child.mjs'

const FILE = fileURLToPath(import.meta.url)

export const name = 'pass-through'

export async function start(mockUrl) {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/v1`
  const { pid, stop } = await startServer({
    name,
    command: process.execPath,
    args: [FILE, String(port), new URL(mockUrl).origin],
    env: { NODE_ENV: 'production' },
    url: `${url}/models`,
  })
  return { url, pid, stop }
}

function serve(port, origin) {
  const pool = new Pool(origin, { connections: 1_024, pipelining: 1, keepAliveTimeout: 60_000 })
  const app = new Koa()
  app.use(async ctx => {
    const { statusCode, headers, body } = await pool.request({
      path: ctx.url,
      method: ctx.method,
      headers: { 'content-type': 'application/json' },
      body: ctx.method === 'GET' ? null : await bytesOf(ctx.req),
    })
    ctx.status = statusCode
    ctx.type = headers['content-type']
    if (headers['content-length'] !== undefined) ctx.length = Number(headers['content-length'])
    ctx.body = body
  })
  app.listen(port, '127.0.0.1').keepAliveTimeout = 60_000
}

async function bytesOf(request) {
  const parts = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts)
}

if (process.argv[1] === FILE) serve(Number(process.argv[2]), process.argv[3])
