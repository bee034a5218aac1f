import { headersOf, parametersOf, type RawRequest, type Scope } from './canonical.ts'
import { SigV4Failure, type SigV4Code } from './failure.ts'

export const ALGORITHM = 'AWS4-HMAC-SHA256'

/** What a request says of its signature, well-formed and not yet verified. */
export interface Authorization {
  accessKeyId: string
  scope: Scope
  signedHeaders: readonly string[]
  /** 64 hex digits. */
  signature: string
  /** Of a presigned request: for how many seconds it is good. */
  expiresSeconds: number | undefined
}

const MOST_CHARACTERS = 4_096
const MOST_SIGNED_HEADERS = 64
const MOST_EXPIRES_SECONDS = 7 * 24 * 60 * 60
const CREDENTIAL = /^([\w.~+=@:-]{1,128})\/(\d{8})\/([\w-]{1,64})\/([\w-]{1,64})\/aws4_request$/
const SIGNED_HEADERS = /^[a-z0-9!#$%&'*+.^_`|~;-]{1,2048}$/
const SIGNATURE = /^[0-9a-f]{64}$/
const TIME = /^\d{8}T\d{6}Z$/

/** From the header, else from the query; undefined where the request carries neither. Errors: 400 of either. */
export function authorizationOf(request: RawRequest): Authorization | undefined {
  const [header, ...others] = headersOf(request).get('authorization') ?? []
  const parameters = new Map(
    parametersOf(request.target).map(({ name, value }) => [name.toString('latin1'), value.toString('latin1')]),
  )
  const isPresigned = parameters.has('X-Amz-Algorithm') || parameters.has('X-Amz-Signature')
  if (header === undefined) return isPresigned ? fromQuery(parameters) : undefined
  if (isPresigned || others.length > 0) throw malformedHeader('A request is signed once.')
  return fromHeader(request, header)
}

const malformedHeader = (message?: string) => new SigV4Failure('AuthorizationHeaderMalformed', message)

function fromHeader(request: RawRequest, header: string): Authorization {
  if (header.length > MOST_CHARACTERS) throw malformedHeader('The Authorization header is too long.')
  const [, algorithm, list] = /^(\S+)\s+(.*)$/s.exec(header) ?? []
  if (algorithm !== ALGORITHM || list === undefined) throw malformedHeader(`Sign with ${ALGORITHM}.`)
  const fields = new Map<string, string>()
  for (const text of list.split(',')) {
    const [name = '', ...value] = text.trim().split('=')
    if (fields.has(name)) throw malformedHeader()
    fields.set(name, value.join('='))
  }
  const given = {
    credential: fields.get('Credential'),
    signedHeaders: fields.get('SignedHeaders'),
    signature: fields.get('Signature'),
  }
  return { ...parsed(given, timeOfHeaders(request), 'AuthorizationHeaderMalformed'), expiresSeconds: undefined }
}

/** x-amz-date, else the Date that HTTP has. */
function timeOfHeaders(request: RawRequest): string | undefined {
  const headers = headersOf(request)
  const own = headers.get('x-amz-date')
  if (own !== undefined) return own[0]
  const date = new Date(headers.get('date')?.[0] ?? '')
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().replaceAll(/[:-]|\.\d{3}/g, '')
}

function fromQuery(parameters: ReadonlyMap<string, string>): Authorization {
  const code = 'AuthorizationQueryParametersError'
  if (parameters.get('X-Amz-Algorithm') !== ALGORITHM) throw new SigV4Failure(code, `Sign with ${ALGORITHM}.`)
  const expires = parameters.get('X-Amz-Expires') ?? ''
  const expiresSeconds = Number(expires)
  if (!/^\d{1,7}$/.test(expires) || expiresSeconds < 1 || expiresSeconds > MOST_EXPIRES_SECONDS)
    throw new SigV4Failure(code, `X-Amz-Expires is 1 to ${MOST_EXPIRES_SECONDS} seconds.`)
  const given = {
    credential: parameters.get('X-Amz-Credential'),
    signedHeaders: parameters.get('X-Amz-SignedHeaders'),
    signature: parameters.get('X-Amz-Signature'),
  }
  return { ...parsed(given, parameters.get('X-Amz-Date'), code), expiresSeconds }
}

interface Given {
  credential: string | undefined
  signedHeaders: string | undefined
  signature: string | undefined
}

function parsed(given: Given, time: string | undefined, code: SigV4Code): Omit<Authorization, 'expiresSeconds'> {
  const refuse = (message?: string): never => {
    throw new SigV4Failure(code, message)
  }
  const [, accessKeyId = '', day, region = '', service = ''] = CREDENTIAL.exec(given.credential ?? '') ?? refuse()
  const { signedHeaders = '', signature = '' } = given
  if (!SIGNED_HEADERS.test(signedHeaders) || !SIGNATURE.test(signature)) refuse()
  if (time === undefined || !TIME.test(time)) return refuse('The time of the signature is missing or not well-formed.')
  if (!time.startsWith(String(day))) refuse('The credential is of another day than the signature.')
  const names = signedHeaders.split(';')
  const isOrdered = names.every((name, at) => name !== '' && (at === 0 || (names[at - 1] as string) < name))
  if (!isOrdered || names.length > MOST_SIGNED_HEADERS) refuse('The signed headers are named in order, each once.')
  return { accessKeyId, scope: { time, region, service }, signedHeaders: names, signature }
}
