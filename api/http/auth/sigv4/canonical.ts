import { createHash, createHmac } from 'node:crypto'
import { decodeText, encodeBytes } from './encoding.ts'
import { SigV4Failure } from './failure.ts'

/** A request as it came. */
export interface RawRequest {
  method: string
  /** Path and query, untouched: an URL parser would fold `//` and `..`, which are parts of keys. */
  target: string
  /** Names and values by turns, as Node gives them: repeated ones are all there. */
  rawHeaders: readonly string[]
}

/** What a signature is made over besides the request. */
export interface Scope {
  /** `20261128T080000Z`. */
  time: string
  region: string
  service: string
}

const MOST_PARAMETERS = 128
const MOST_HEADERS = 128
const SIGNATURE_PARAMETER = 'X-Amz-Signature'

/** The values of a request's headers by their names in lower case. Errors: InvalidRequest for too many. */
export function headersOf({ rawHeaders }: RawRequest): Map<string, string[]> {
  if (rawHeaders.length > 2 * MOST_HEADERS) throw new SigV4Failure('InvalidRequest', 'There are too many headers.')
  const headers = new Map<string, string[]>()
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), rawHeaders[at + 1] as string])
  }
  return headers
}

/** A query's parameters, decoded; a plus is a space there. Errors: InvalidURI; InvalidRequest for too many. */
export function parametersOf(target: string): { name: Buffer; value: Buffer }[] {
  const at = target.indexOf('?')
  if (at === -1 || at === target.length - 1) return []
  const texts = target
    .slice(at + 1)
    .split('&', MOST_PARAMETERS + 1)
    .filter(text => text !== '')
  if (texts.length > MOST_PARAMETERS) throw new SigV4Failure('InvalidRequest', 'There are too many parameters.')
  return texts.map(text => {
    const [name = '', ...value] = text.replaceAll('+', '%20').split('=')
    return { name: decodeText(name), value: decodeText(value.join('=')) }
  })
}

/**
 * The text that AWS Signature Version 4 is made over, as S3 writes it: the path's bytes are encoded once and nothing of
 * it is folded. Errors: InvalidURI; InvalidRequest.
 */
export function canonicalRequest(request: RawRequest, signedHeaders: readonly string[], payloadHash: string): string {
  const headers = headersOf(request)
  const lines = signedHeaders.map(name => `${name}:${(headers.get(name) ?? []).map(folded).join(',')}\n`)
  return [
    request.method,
    canonicalPath(request.target),
    canonicalQuery(request.target),
    lines.join(''),
    signedHeaders.join(';'),
    payloadHash,
  ].join('\n')
}

/** Spaces within are one, those around are none. */
const folded = (value: string): string => value.trim().replaceAll(/\s+/g, ' ')

const canonicalPath = (target: string): string => encodeBytes(decodeText(target.split('?', 1)[0] ?? ''), true) || '/'

function canonicalQuery(target: string): string {
  const pairs = parametersOf(target).map(({ name, value }) => [encodeBytes(name, false), encodeBytes(value, false)])
  return pairs
    .filter(([name]) => name !== SIGNATURE_PARAMETER)
    .sort(([nameA = '', valueA = ''], [nameB = '', valueB = '']) => order(nameA, nameB) || order(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** By bytes: the texts are ASCII. */
const order = (a: string, b: string): number => (a < b ? -1 : Number(a > b))

const scopeOf = ({ time, region, service }: Scope): string => `${time.slice(0, 8)}/${region}/${service}/aws4_request`

export const sha256Hex = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')

const hmac = (key: string | Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** The key of a day, region and service. */
export const signingKeyOf = (secret: string, { time, region, service }: Scope): Buffer =>
  hmac(hmac(hmac(hmac(`AWS4${secret}`, time.slice(0, 8)), region), service), 'aws4_request')

/** A signature in hex over lines that begin with its algorithm, its time and its scope. */
export const signatureOver = (key: Uint8Array, algorithm: string, scope: Scope, lines: readonly string[]): string =>
  hmac(key, [algorithm, scope.time, scopeOf(scope), ...lines].join('\n')).toString('hex')
