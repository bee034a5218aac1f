import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ApiDeps } from '../../api/http/request/deps.ts'
import { createApp } from '../../api/http/app.ts'
import { listen } from '../../api/http/listen.ts'
import type { AnyRoute } from '../../api/http/route.ts'
import { parseJson } from '../../domain/inference/threads/tasks.ts'
import type { SigningKeys } from '../../infra/crypto/links.ts'
import type { Database } from '../../infra/postgres/database.ts'

export const ADMIN_TOKEN = 'an-admin-token-of-tests'
export const SIGNING_KEYS: SigningKeys = [{ id: 'k1', bytes: randomBytes(32) }]

export interface Served {
  url: string
  /** What was logged as an error. */
  faults: string[]
  close(): Promise<void>
}

/** Serves throw-away operations over HTTP as the API does, with a database behind them where they need one. */
export async function serve(routes: readonly AnyRoute[], db?: Database, admit = unlimited): Promise<Served> {
  const faults: string[] = []
  const log = {
    error: (_: object, text: string) => void faults.push(text),
    info: () => undefined,
    isLevelEnabled: () => false,
  }
  const deps = {
    db,
    log,
    metrics: { requests: { observe: () => undefined } },
    config: {
      adminToken: ADMIN_TOKEN,
      signingKeys: SIGNING_KEYS,
      defaultRequestsPerMinute: 100,
      streamStallMs: 10_000,
      trustedProxies: [],
      corsOrigins: '*',
      publicUrl: 'https://api.example.test',
    },
    keyCache: { get: (_: string, load: () => unknown) => load() },
    keyWatch: { enter: () => () => undefined },
    requestLimits: { admit },
    streamLimits: { enter: () => Promise.resolve(() => undefined) },
    threadWork: { parseJson: (_: object, blocks: Uint8Array<ArrayBuffer>[]) => Promise.resolve(parseJson(blocks)) },
  }
  const server: Server = await listen(createApp(routes, deps as unknown as ApiDeps), {
    host: '127.0.0.1',
    port: 0,
    log: log as never,
    headers: {},
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    faults,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

type Allowance = { limit: number; remaining: number; resetSeconds: number; retryAfterSeconds?: number }
const unlimited = (): Promise<Allowance> => Promise.resolve({ limit: 100, remaining: 99, resetSeconds: 60 })
/** A limit that has been reached. */
export const exhausted = (): Promise<Allowance> =>
  Promise.resolve({ limit: 100, remaining: 0, resetSeconds: 60, retryAfterSeconds: 7 })
