import { once } from 'node:events'
import { request, type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { testStack } from './stack.ts'

export interface RawReply {
  status: number
  headers: IncomingHttpHeaders
  bytes: Buffer
  text: string
}

export interface RawRequest {
  headers?: OutgoingHttpHeaders
  body?: string | Uint8Array | Readable
  apiUrl?: string
}

/** A request just as written: fetch would tidy up the path and the headers. The path is without the version. */
export async function rawRequest(method: string, path: string, options: RawRequest = {}): Promise<RawReply> {
  const { headers = {}, body, apiUrl = testStack().apiUrl } = options
  const { hostname, port } = new URL(apiUrl)
  // Node would send a body of GET or DELETE without its length.
  const length = body === undefined || isStream(body) ? {} : { 'content-length': Buffer.byteLength(body) }
  const call = request({ hostname, port, method, path: `/v1${path}`, headers: { ...length, ...headers }, agent: false })
  if (isStream(body)) call.flushHeaders()
  const answered = once(call, 'response') as Promise<[IncomingMessage]>
  const sent = isStream(body) ? pipeline(body, call) : void call.end(body)
  // A server that has refused a body stops reading it: what it answered is what counts.
  void Promise.resolve(sent).catch(() => undefined)
  const [reply] = await answered
  call.on('error', () => undefined)
  const bytes = await buffer(reply)
  return { status: reply.statusCode ?? 0, headers: reply.headers, bytes, text: bytes.toString() }
}

const isStream = (body: RawRequest['body']): body is Readable => typeof body === 'object' && 'pipe' in body

/** What comes back over a connection for bytes just as written, until the server closes it. */
export async function rawExchange(sent: string | Uint8Array, apiUrl = testStack().apiUrl): Promise<string> {
  const { hostname, port } = new URL(apiUrl)
  const socket = connect(Number(port), hostname)
  socket.write(sent)
  return (await buffer(socket)).toString()
}

/** The replies in what came over a connection, each with a length. */
export function repliesIn(received: string): (RawReply & { reason: string })[] {
  const replies: (RawReply & { reason: string })[] = []
  for (let rest = Buffer.from(received); rest.length > 0;) {
    const end = rest.indexOf('\r\n\r\n')
    const [first = '', ...lines] = rest.subarray(0, end).toString().split('\r\n')
    const headers = Object.fromEntries(lines.map(line => headerIn(line)))
    const bytes = rest.subarray(end + 4, end + 4 + Number(headers['content-length'] ?? 0))
    const [, status = '', reason = ''] = /^HTTP\/1\.1 (\d{3}) (.+)$/.exec(first) ?? []
    replies.push({ status: Number(status), reason, headers, bytes, text: bytes.toString() })
    rest = rest.subarray(end + 4 + bytes.length)
  }
  return replies
}

function headerIn(line: string): [string, string] {
  const colon = line.indexOf(': ')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)]
}
