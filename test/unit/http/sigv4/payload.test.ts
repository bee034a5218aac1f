import { describe, expect, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import type { RawRequest } from '../../../../api/http/auth/sigv4/canonical.ts'
import { SigV4Failure } from '../../../../api/http/auth/sigv4/failure.ts'
import { verifiedBody } from '../../../../api/http/auth/sigv4/payload.ts'
import { verifySigV4, type SignedRequest } from '../../../../api/http/auth/sigv4/verify.ts'

// The examples of Amazon S3's documentation of chunked uploads, with and without a trailer.
const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const NOW = new Date('2013-05-24T00:00:00Z')
const CREDENTIAL = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request'
const CONTENT = Buffer.alloc(66_560, 'a')
const SEED = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9'
const CHUNKS = [
  'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
  '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
  'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
]
const TRAILER_SEED = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e'
const TRAILER_CHUNKS = [
  'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
  '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
  '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
]
const TRAILER_SIGNATURE = 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435'

const COMMON = {
  host: 's3.amazonaws.com',
  'x-amz-date': '20130524T000000Z',
  'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  'content-encoding': 'aws-chunked',
  'x-amz-decoded-content-length': '66560',
}

function signedPut(headers: Record<string, string>, signature: string): RawRequest {
  const names = Object.keys(headers).sort()
  const authorization = `AWS4-HMAC-SHA256 Credential=${CREDENTIAL}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  const all = { ...headers, authorization }
  return { method: 'PUT', target: '/examplebucket/chunkObject.txt', rawHeaders: Object.entries(all).flat() }
}

async function verified(request: RawRequest): Promise<SignedRequest<string>> {
  const findKey = async () => ({ secret: SECRET, principal: 'somebody' })
  const signed = await verifySigV4(request, { region: 'us-east-1', service: 's3', now: () => NOW, findKey })
  if (signed === undefined) throw new Error('it is not signed')
  return signed
}

const plainChunks = () =>
  signedPut(
    { ...COMMON, 'content-length': '66824', 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' },
    SEED,
  )
const trailerChunks = () =>
  signedPut(
    {
      ...COMMON,
      'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      'x-amz-trailer': 'x-amz-checksum-crc32c',
    },
    TRAILER_SEED,
  )

const chunk = (bytes: Buffer, signature?: string): Buffer =>
  Buffer.concat([
    Buffer.from(`${bytes.length.toString(16)}${signature === undefined ? '' : `;chunk-signature=${signature}`}\r\n`),
    bytes,
    Buffer.from('\r\n'),
  ])
const last = (signature?: string): Buffer =>
  Buffer.from(`0${signature === undefined ? '' : `;chunk-signature=${signature}`}\r\n`)
const END = Buffer.from('\r\n')

const bodyOf = ([first, second, third]: string[], end: Buffer = END): Buffer =>
  Buffer.concat([chunk(CONTENT.subarray(0, 65_536), first), chunk(CONTENT.subarray(65_536), second), last(third), end])
const trailer = (checksum = 'sOO8/Q==', signature = TRAILER_SIGNATURE, name = 'x-amz-checksum-crc32c') =>
  Buffer.from(`${name}:${checksum}\r\nx-amz-trailer-signature:${signature}\r\n\r\n`)

/** The body through its verification, in parts of that size. */
async function read(request: RawRequest, signed: Parameters<typeof verifiedBody>[1], body: Buffer, partBytes = 7_000) {
  const content = verifiedBody(request, signed)
  const parts = Array.from({ length: Math.ceil(body.length / partBytes) }, (_, at) =>
    body.subarray(at * partBytes, (at + 1) * partBytes),
  )
  const [bytes] = await Promise.all([buffer(content), pipeline(Readable.from(parts), content)])
  return bytes
}

const codeOf = async (work: () => Promise<unknown>): Promise<string> => {
  const failure = await work().then(
    () => undefined,
    (error: unknown) => error,
  )
  if (failure instanceof SigV4Failure) return failure.awsCode
  if (failure === undefined) return 'ok'
  throw new Error('no failure of a signature', { cause: failure })
}

describe('chunks that are signed', () => {
  test.each([1, 3, 7, 85, 86, 87, 65_536, 1e6])("AWS's example, in parts of %i bytes", async partBytes => {
    const request = plainChunks()
    expect(await read(request, await verified(request), bodyOf(CHUNKS), partBytes)).toEqual(CONTENT)
  })

  test("AWS's example with a trailer, as clients and as its documentation write it", async () => {
    const request = trailerChunks()
    const signed = await verified(request)
    expect(await read(request, signed, bodyOf(TRAILER_CHUNKS, trailer()))).toEqual(CONTENT)
    const documented = `x-amz-checksum-crc32c:sOO8/Q==\n\r\nx-amz-trailer-signature:${TRAILER_SIGNATURE}\r\n\r\n`
    expect(await read(request, signed, bodyOf(TRAILER_CHUNKS, Buffer.from(documented)), 1)).toEqual(CONTENT)
  })

  const changed = (body: Buffer, at: number): Buffer => {
    const copy = Buffer.from(body)
    copy[at] = (copy[at] as number) ^ 1
    return copy
  }

  test.each<[string, string, () => Buffer]>([
    ['a changed byte', 'SignatureDoesNotMatch', () => changed(bodyOf(CHUNKS), 1_000)],
    ['a changed last byte', 'SignatureDoesNotMatch', () => changed(bodyOf(CHUNKS), 66_600)],
    ['another signature', 'SignatureDoesNotMatch', () => bodyOf([CHUNKS[0], CHUNKS[0], CHUNKS[2]] as string[])],
    ['another last signature', 'SignatureDoesNotMatch', () => bodyOf([CHUNKS[0], CHUNKS[1], CHUNKS[1]] as string[])],
    ['no last chunk', 'IncompleteBody', () => bodyOf(CHUNKS).subarray(0, -88)],
    ['an end within a chunk', 'IncompleteBody', () => bodyOf(CHUNKS).subarray(0, 1_000)],
    ['nothing', 'IncompleteBody', () => Buffer.alloc(0)],
    ['no signatures', 'InvalidRequest', () => Buffer.concat([chunk(CONTENT), last(), END])],
    ['a trailer', 'MalformedTrailerError', () => bodyOf(CHUNKS, trailer())],
    ['a size beyond all', 'IncompleteBody', () => Buffer.from(`ffffffffff;chunk-signature=${CHUNKS[0]}\r\n`)],
    ['a size that is none', 'InvalidRequest', () => Buffer.from(`-1;chunk-signature=${CHUNKS[0]}\r\n`)],
    ['a size in 11 digits', 'InvalidRequest', () => Buffer.from(`00000000001;chunk-signature=${CHUNKS[0]}\r\n`)],
    ['a line without end', 'InvalidRequest', () => Buffer.alloc(10_000, '0')],
    ['lines that end in LF alone', 'InvalidRequest', () => Buffer.from(`1;chunk-signature=${CHUNKS[0]}\na\n`)],
    [
      'no line behind a chunk',
      'InvalidRequest',
      () => Buffer.concat([chunk(CONTENT, CHUNKS[0]).subarray(0, -2), last()]),
    ],
    ['less than it says', 'SignatureDoesNotMatch', () => Buffer.concat([last(CHUNKS[2]), END])],
  ])('with %s are refused as %s', async (_, code, body) => {
    const request = plainChunks()
    const signed = await verified(request)
    expect(await codeOf(() => read(request, signed, body()))).toBe(code)
  })

  test.each<[string, string, () => Buffer]>([
    ['another checksum', 'SignatureDoesNotMatch', () => trailer('AAAAAA==')],
    ['another signature', 'SignatureDoesNotMatch', () => trailer(undefined, TRAILER_SEED)],
    ['no signature', 'SignatureDoesNotMatch', () => Buffer.from('x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n')],
    ['another name', 'SignatureDoesNotMatch', () => trailer(undefined, undefined, 'x-amz-checksum-crc32')],
    ['none', 'SignatureDoesNotMatch', () => END],
    ['no form', 'MalformedTrailerError', () => Buffer.from('what is this\r\n\r\n')],
    ['a field twice', 'MalformedTrailerError', () => Buffer.concat([trailer().subarray(0, -2), trailer()])],
    ['20 KB', 'InvalidRequest', () => Buffer.alloc(20_000, 'a')],
  ])('and a trailer with %s are refused as %s', async (_, code, end) => {
    const request = trailerChunks()
    const signed = await verified(request)
    expect(await codeOf(() => read(request, signed, bodyOf(TRAILER_CHUNKS, end())))).toBe(code)
  })
})

const SIGNED = (payloadHash: string) => ({
  payloadHash,
  seed: { key: Buffer.alloc(32), scope: { time: '20130524T000000Z', region: 'r', service: 's3' }, signature: '' },
})
const put = (headers: Record<string, string>): RawRequest => ({
  method: 'PUT',
  target: '/b/k',
  rawHeaders: Object.entries(headers).flat(),
})
const NUMBERS = Buffer.from('123456789')
const CHECKSUMS: [string, string][] = [
  ['crc32', Buffer.from('cbf43926', 'hex').toString('base64')],
  ['crc32c', Buffer.from('e3069283', 'hex').toString('base64')],
  ['crc64nvme', Buffer.from('ae8b14860a799888', 'hex').toString('base64')],
  ['sha1', createHash('sha1').update(NUMBERS).digest('base64')],
  ['sha256', createHash('sha256').update(NUMBERS).digest('base64')],
]
const TRAILER_FORM = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'

describe('chunks that are not signed', () => {
  const request = (trailerName?: string, length = 9) =>
    put({ 'x-amz-decoded-content-length': String(length), ...(trailerName && { 'x-amz-trailer': trailerName }) })
  const body = (end: string) =>
    Buffer.concat([chunk(NUMBERS.subarray(0, 4)), chunk(NUMBERS.subarray(4)), last(), Buffer.from(end)])

  test.each(CHECKSUMS)('with %s in the trailer are verified by it', async (name, checksum) => {
    const field = `x-amz-checksum-${name}`
    const good = body(`${field}:${checksum}\r\n\r\n`)
    expect(await read(request(field), SIGNED(TRAILER_FORM), good, 2)).toEqual(NUMBERS)
    const other = Buffer.from(checksum, 'base64').fill(0).toString('base64')
    expect(await codeOf(() => read(request(field), SIGNED(TRAILER_FORM), body(`${field}:${other}\r\n\r\n`)))).toBe(
      'BadDigest',
    )
    expect(await codeOf(() => read(request(field), SIGNED(TRAILER_FORM), body('\r\n')))).toBe('MalformedTrailerError')
    expect(await codeOf(() => read(request(), SIGNED(TRAILER_FORM), good))).toBe('MalformedTrailerError')
  })

  test('need no trailer where none was announced', async () => {
    expect(await read(request(), SIGNED(TRAILER_FORM), body('\r\n'))).toEqual(NUMBERS)
    expect(await read(request(), SIGNED(TRAILER_FORM), body(''))).toEqual(NUMBERS)
    expect(await read(request(undefined, 0), SIGNED(TRAILER_FORM), Buffer.from('0\r\n\r\n'))).toEqual(Buffer.alloc(0))
  })

  test.each(['', '-1', '1.5', '9x', '9'.repeat(16)])('need a length that is one: %j', async length => {
    const wrong = put({ 'x-amz-decoded-content-length': length })
    expect(await codeOf(async () => verifiedBody(wrong, SIGNED(TRAILER_FORM)))).toBe('InvalidRequest')
  })

  test.each([8, 10])('of another length than %i are refused', async length => {
    expect(await codeOf(() => read(request(undefined, length), SIGNED(TRAILER_FORM), body('\r\n')))).toBe(
      'IncompleteBody',
    )
  })

  test('are read however they and their bytes are split', async () => {
    const property = fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 50 }),
      async (chunks, partBytes) => {
        const content = Buffer.concat(chunks)
        const wire = Buffer.concat([...chunks.map(one => chunk(Buffer.from(one))), last(), END])
        expect(await read(request(undefined, content.length), SIGNED(TRAILER_FORM), wire, partBytes)).toEqual(content)
      },
    )
    await fc.assert(property, { numRuns: 200 })
  })

  test('of a byte each do not hold the process', async () => {
    const wire = Buffer.concat([...Array.from({ length: 20_000 }, () => chunk(Buffer.from('x'))), last(), END])
    expect((await read(request(undefined, 20_000), SIGNED(TRAILER_FORM), wire, 65_536)).length).toBe(20_000)
  })
})

describe('a body in one piece', () => {
  const sha256 = createHash('sha256').update(NUMBERS).digest('hex')

  test('is what its hash says', async () => {
    expect(await read(put({}), SIGNED(sha256), NUMBERS, 2)).toEqual(NUMBERS)
    expect(await codeOf(() => read(put({}), SIGNED(sha256), Buffer.from('12345678')))).toBe('XAmzContentSHA256Mismatch')
    expect(await read(put({}), SIGNED('UNSIGNED-PAYLOAD'), NUMBERS)).toEqual(NUMBERS)
  })

  test.each([
    ...CHECKSUMS.map(([name, sum]) => [`x-amz-checksum-${name}`, sum] as const),
    ['content-md5', createHash('md5').update(NUMBERS).digest('base64')] as const,
  ])('is what its %s says', async (name, checksum) => {
    const sum = (value: string) => put({ [name]: value })
    expect(await read(sum(checksum), SIGNED('UNSIGNED-PAYLOAD'), NUMBERS, 4)).toEqual(NUMBERS)
    expect(await codeOf(() => read(sum(checksum), SIGNED('UNSIGNED-PAYLOAD'), Buffer.from('other')))).toBe('BadDigest')
    for (const wrong of ['', 'x', `${checksum}A`, checksum.slice(0, -4)])
      expect(await codeOf(async () => verifiedBody(sum(wrong), SIGNED('UNSIGNED-PAYLOAD')))).toBe('InvalidDigest')
  })

  test.each<[string, Record<string, string>, string]>([
    ['two checksums', { 'x-amz-checksum-crc32': 'y/Q5Jg==', 'x-amz-checksum-crc32c': '4waSgw==' }, 'UNSIGNED-PAYLOAD'],
    ['an unknown checksum', { 'x-amz-checksum-crc99': 'y/Q5Jg==' }, 'UNSIGNED-PAYLOAD'],
    ['a trailer', { 'x-amz-trailer': 'x-amz-checksum-crc32' }, 'UNSIGNED-PAYLOAD'],
    ['an unknown form', {}, 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD'],
    [
      'a trailer that is no checksum',
      { 'x-amz-trailer': 'authorization', 'x-amz-decoded-content-length': '1' },
      TRAILER_FORM,
    ],
  ])('with %s is refused', async (_, headers, form) => {
    expect(await codeOf(async () => verifiedBody(put(headers), SIGNED(form)))).toBe('InvalidRequest')
  })
})
