import { expect } from '@jest/globals'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Chunk } from '../../infra/upstreams/chunk.ts'
import { usageOf } from '../../infra/upstreams/normal/usage.ts'

export type Fields = Record<string, any>

/** An exchange in the documented form, in both formats: test/unit/infra/upstreams/anthropic/fixtures. */
export interface Exchange {
  request: { openai: Fields; anthropic: Fields }
  reply: { openai: Fields; anthropic: Fields }
  stream?: { openai: Fields[]; anthropic: Fields[] }
}
export interface DocumentedError {
  status: number
  body: Fields
  kind: string
  code: string
}

const FIXTURES = new URL('../unit/infra/upstreams/anthropic/fixtures/', import.meta.url)
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), 'utf8'))

export const EXCHANGES = ['text', 'tool-use', 'vision', 'thinking', 'prompt-caching', 'structured-output'] as const
export type ExchangeName = (typeof EXCHANGES)[number]
export const exchange = (name: ExchangeName): Exchange => read(name) as Exchange
export const documentedErrors = (): DocumentedError[] => (read('errors') as { errors: DocumentedError[] }).errors

/** That chunks tell what a fixture's stream does; its last one is the usage. */
export function expectChunks(chunks: readonly Chunk[], openai: readonly Fields[]): void {
  expect(chunks.flatMap(({ choices }) => choices)).toEqual(openai.flatMap(({ choices }) => choices as Fields[]))
  expect(chunks.findLast(({ usage }) => usage !== undefined)?.usage).toEqual(usageOf(openai.at(-1)?.['usage']))
}

/** Events as Anthropic writes them: each is named as its type. */
export const eventText = (events: Fields[]): string =>
  events.map(event => `event: ${event['type']}\ndata: ${JSON.stringify(event)}\n\n`).join('')

export interface AnthropicRequest {
  url: string | undefined
  headers: IncomingHttpHeaders
  body: Fields
}

/** Anthropic's API at a private address. It answers a request with what the test says next, streamed if so asked. */
export interface FakeAnthropic {
  /** Ending in `/v1`. */
  url: string
  next(name: ExchangeName): void
  /** Answers the next request so. */
  nextWith(answer: (response: ServerResponse, body: Fields) => void): void
  /** The requests since the last time it was asked. */
  seen(): AnthropicRequest[]
  close(): Promise<void>
}

export async function startAnthropic(): Promise<FakeAnthropic> {
  const answers: ((response: ServerResponse, body: Fields) => void)[] = []
  const requests: AnthropicRequest[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString() || '{}') as Fields
      requests.push({ url: request.url, headers: request.headers, body })
      const answer = answers.shift() ?? (() => replyWith(response, 500, {}))
      answer(response, body)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    next: name => void answers.push((response, body) => play(response, exchange(name), body['stream'] === true)),
    nextWith: answer => void answers.push(answer),
    seen: () => requests.splice(0),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function play(response: ServerResponse, { reply, stream }: Exchange, streamed: boolean): void {
  if (!streamed) return replyWith(response, 200, reply.anthropic)
  if (stream === undefined) throw new Error('the exchange has no stream')
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).end(eventText(stream.anthropic))
}

export function replyWith(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}
