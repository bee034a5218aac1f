import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  publicRefusal,
  type UpstreamMessage,
} from '../../../../domain/inference/provider-routes/upstream-text.rules.ts'

const sentenceOf = (words: UpstreamMessage, isOwnKey: boolean) => publicRefusal(words, isOwnKey).sentence

/** As the providers put them, with their documentation as the source of the forms. */
const KNOWN: [string, UpstreamMessage, string, string | undefined][] = [
  [
    "OpenAI's context",
    {
      code: 'context_length_exceeded',
      param: 'messages',
      detail:
        "This model's maximum context length is 128,000 tokens. However, your messages resulted in 130,512 tokens.",
    },
    'The request is too long for the model: 128000 tokens at most, 130512 were asked for.',
    'messages',
  ],
  [
    "Anthropic's context",
    { detail: 'prompt is too long: 210000 tokens > 200000 maximum' },
    'The request is too long for the model: 210000 were asked for.',
    'messages',
  ],
  [
    'a parameter that is not supported',
    {
      code: 'unsupported_parameter',
      param: 'max_tokens',
      detail:
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    },
    'The model does not take `max_tokens` of this request.',
    'max_tokens',
  ],
  [
    'a value, without a code',
    { detail: "Unsupported value: 'temperature' does not support 0.2 with this model." },
    'The model does not take this value of `temperature`.',
    'temperature',
  ],
  [
    'an argument that is not known',
    { detail: 'Unrecognized request argument supplied: response_format' },
    'The model does not take `response_format` of this request.',
    'response_format',
  ],
  [
    "Anthropic's missing field",
    { code: 'invalid_request_error', detail: 'messages.0.content: Field required' },
    'The model needs `messages.0.content`.',
    'messages.0.content',
  ],
  [
    "Anthropic's limit",
    { detail: 'max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens for deployment-eu-7' },
    '`max_tokens` is beyond what the model takes.',
    'max_tokens',
  ],
  [
    "a tool's schema",
    {
      code: 'invalid_function_parameters',
      param: 'tools[0].function.parameters',
      detail: "Invalid schema for function 'secret_name': …",
    },
    'The model does not take the schema in `tools[0].function.parameters`.',
    'tools[0].function.parameters',
  ],
  [
    'a policy',
    { code: 'content_policy_violation', detail: 'Your request was rejected as a result of our safety system. req_123' },
    "The request is against the content policy of the model's provider.",
    undefined,
  ],
  [
    'an image',
    { detail: 'Could not process image at http://10.0.0.7/cache/1.png' },
    'The model cannot read an image of this request.',
    undefined,
  ],
  ['a field alone', { param: 'seed', detail: 'no' }, 'The model does not accept `seed` as it is.', 'seed'],
  ['nothing', {}, 'The model does not accept this request.', undefined],
]

describe('a refusal on our own accounts', () => {
  test.each(KNOWN)('%s is told in our words', (_what, words, sentence, param) => {
    expect(publicRefusal(words, false)).toMatchObject({ sentence, ...(param !== undefined && { param }) })
    expect(publicRefusal(words, false).param).toBe(param)
  })

  test.each<[string, UpstreamMessage]>([
    ['a key', { detail: 'Incorrect API key provided: sk-proj-abc123def456ghi789. You can find it at https://x.test' }],
    ['an account', { detail: 'Organization org-AbC123 must be verified to use this model' }],
    ['an address', { detail: 'upstream connect error 10.1.2.3:8080 in pool llm-7.internal' }],
    ['a field that is none of a request', { code: 'unsupported_parameter', param: 'sk-proj-abc123def456ghi789' }],
    ['a field that is named as one begins', { param: 'messages_of_org_acme', detail: 'no' }],
    ['a form whose field is none', { detail: 'Unknown parameter: internal_deployment_eu' }],
    ['a code that is not known', { code: 'deployment_eu_seven_is_down', detail: 'deployment eu-7 is down' }],
    ['a code that every object has', { code: 'constructor', detail: 'no' }],
  ])('says nothing of %s', (_what, words) => {
    const { sentence, param } = publicRefusal(words, false)
    expect(sentence).toMatch(/^The model does not (?:accept this request|take one of the fields of this request)\.$/)
    expect(param).toBeUndefined()
  })

  test('never passes a word of the upstream on, whatever surrounds it', () => {
    const canary = 'Canary7canary'
    const details = fc.constantFrom(...KNOWN.map(([, { detail = '' }]) => detail), '')
    fc.assert(
      fc.property(details, fc.string(), details, (before, between, after) => {
        const words = { detail: `${before}${between}${canary}${between}${after}`, code: canary, param: canary }
        expect(JSON.stringify(publicRefusal(words, false))).not.toContain('anary')
      }),
    )
  })
})

describe("a refusal on the caller's own account", () => {
  test.each<[string, string, string]>([
    ['plain words', 'Invalid value for tools.function.name: no', 'Invalid value for tools.function.name: no'],
    ['models', "claude-sonnet-4-20250514 and gpt-5.5 can't", "claude-sonnet-4-20250514 and gpt-5.5 can't"],
    ['a key', 'Incorrect API key provided: sk-proj-abc123def456ghi789jkl.', 'Incorrect API key provided: [api_key].'],
    ['a masked key', 'Incorrect API key provided: sk-ab****yz89 here', 'Incorrect API key provided: [key] here'],
    ['a token', 'bad Authorization: Bearer abc.def-ghi', 'bad Authorization: [key]'],
    ['a URL', 'see https://console.test/org/4711?x=1 for more', 'see [url] for more'],
    ['an e-mail address', 'ask ada.lovelace@acme.co.uk', 'ask [email]'],
    ['an IPv4 address', 'dial 10.0.0.7:8443 failed', 'dial [address] failed'],
    ['an IPv6 address', 'dial [fd00::7]:8443 failed', 'dial [address] failed'],
    ['a host', 'pool llm-7.prod.internal:8080 is down', 'pool [address] is down'],
    ['this machine', 'localhost:11434 is down', '[address] is down'],
    ['an organization', 'Organization org-AbC123xyz must be verified', 'Organization [id] must be verified'],
    ['a request', 'request req_011CSHoEeqs5C35K2UUqR7Fy failed', 'request [id] failed'],
    ['a UUID', 'trace 01a22049-8519-7666-9c2b-9ab09c7ca4c4', 'trace [id]'],
    ['something random', 'trace a8Zk39dkQpw01mNbVx72', 'trace [id]'],
    ['a NUL and half a character', 'a\0b\ud83d', 'ab\ufffd'],
    ['nothing', '  ', 'The model does not accept this request.'],
  ])('with %s', (_what, detail, told) => {
    expect(sentenceOf({ detail }, true)).toBe(told)
  })

  test('is not long, and is read in little time', () => {
    const startedAtMs = performance.now()
    for (const piece of ['a', '1', 'a.', '-', ':', 'a1', 'sk-', '@', 'org_', 'http://', '::', "'tools["]) {
      expect(sentenceOf({ detail: piece.repeat(100_000) }, true).length).toBeLessThanOrEqual(501)
    }
    expect(performance.now() - startedAtMs).toBeLessThan(20_000)
  })

  test('has its kind and its field all the same', () => {
    expect(publicRefusal({ code: 'context_length_exceeded', detail: 'too much' }, true)).toEqual({
      kind: 'too_long',
      sentence: 'too much',
      param: 'messages',
    })
  })
})
