import { afterEach, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Type } from 'typebox'
import type { ApiDeps } from '../../../api/http/request/deps.ts'
import { createApp } from '../../../api/http/app.ts'
import { Reply } from '../../../api/http/gives/gives.ts'
import { route as declare, type AnyRequest, type AnyRoute } from '../../../api/http/route.ts'
import { json } from '../../../api/http/takes/takes.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

type Changes = Partial<Omit<Parameters<typeof declare>[0], 'handle'>> & { handle?: (request: AnyRequest) => unknown }

const route = (changes: Changes): AnyRoute =>
  declare({
    method: 'GET',
    path: '/thing',
    auth: 'none',
    summary: 'Get a thing',
    gives: json(Type.Any()),
    handle: () => ({ is: 'fine' }),
    ...changes,
  })

/** The routes, served with no more than every request needs; and what was logged as an error. */
async function served(routes: AnyRoute[], observe: () => void = () => undefined) {
  const errors: string[] = []
  const log = { error: (_: object, message: string) => void errors.push(message), isLevelEnabled: () => false }
  const deps = {
    log,
    metrics: { requests: { observe } },
    config: { streamStallMs: 1_000, trustedProxies: [], corsOrigins: '*' },
  }
  const answer = createApp(routes, deps as unknown as ApiDeps)
  const server = createServer((request, response) => void answer(request, response))
  servers.push(server.listen(0, '127.0.0.1'))
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  return {
    errors,
    ask: async (method: string, path: string) => {
      const reply = await fetch(url + path, { method })
      return { status: reply.status, allow: reply.headers.get('allow'), body: await reply.text() }
    },
  }
}

describe('a request', () => {
  test.each([
    ['GET', '/thing', 200, null],
    ['GET', '/thing?a=1', 200, null],
    ['GET', '/thing/', 200, null],
    ['HEAD', '/thing', 200, null],
    ['GET', '/thing/7', 200, null],
    ['POST', '/thing', 405, 'HEAD, GET'],
    ['OPTIONS', '/thing', 405, 'HEAD, GET'],
    ['DELETE', '/thing/7', 405, 'HEAD, GET'],
    ['GET', '/things', 404, null],
    ['GET', '/thing/7/more', 404, null],
    ['GET', '/', 404, null],
  ])('%s %s is answered with %i', async (method, path, status, allow) => {
    const { ask } = await served([
      route({}),
      route({ path: '/thing/{id}', params: Type.Object({ id: Type.String() }) }),
    ])
    expect(await ask(method, path)).toMatchObject({ status, allow })
  })
})

describe('a fault', () => {
  test('in a header of the reply is a 500 with the error body', async () => {
    const { ask, errors } = await served([
      route({ handle: async () => new Reply({}, { headers: { 'x-name': 'a\nb' } }) }),
    ])
    const { status, body } = await ask('GET', '/thing')
    expect([status, JSON.parse(body).code]).toEqual([500, 'service_unavailable'])
    expect(errors).toEqual(['request failed'])
  })

  test('after the reply ends neither the process nor other requests', async () => {
    const { ask, errors } = await served([route({})], () => {
      throw new Error('no figures today')
    })
    expect(await ask('GET', '/thing')).toMatchObject({ status: 200 })
    expect(await ask('GET', '/thing')).toMatchObject({ status: 200 })
    expect(errors).toEqual(['a request could not be answered', 'a request could not be answered'])
  })
})
