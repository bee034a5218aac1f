import { describe, expect, test } from '@jest/globals'
import {
  customIdOf,
  LONGEST_LINE_BYTES,
  parseLine,
  parseRow,
  rowErrorOf,
  sentRow,
  worstPrice,
  type RowContext,
} from '../../../../domain/work/batches/row.rules.ts'
import { badRequest, paymentRequired, rateLimited } from '../../../../domain/core/errors.ts'
import { anyRules, launchCatalog, refusalOf, thrownBy } from '../../fixtures.ts'

const context: RowContext = { catalog: launchCatalog(), endpoint: 'chat_completions', rules: anyRules }
const embeddings: RowContext = { ...context, endpoint: 'embeddings' }
const messages = [{ role: 'user', content: 'hi' }]
const body = { model: 'openai/gpt-5-nano', messages }
const row = (fields: object = {}) => ({ custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body, ...fields })
const rowOf = (fields: object) => row({ body: { ...body, ...fields } })

describe('a line', () => {
  test.each<[string, string | Buffer]>([
    ['that is JSON', '{"a": 1}'],
    ['with a byte order mark of its own', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('{"a": 1}')])],
  ])('%s is its object', (_what, line) => {
    expect(parseLine(Buffer.from(line))).toEqual({ a: 1 })
  })

  test.each<[string, string | Buffer, string]>([
    ['that is broken', '{"a": ', 'invalid_json_line'],
    ['that is a list', '[1]', 'invalid_json_line'],
    ['that is null', 'null', 'invalid_json_line'],
    ['that is a number', '1', 'invalid_json_line'],
    ['with two objects', '{}{}', 'invalid_json_line'],
    ['with bad UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'invalid_json_line'],
    ['of a hundred thousand levels', `{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`, 'invalid_json_line'],
    ['that is too long', Buffer.alloc(LONGEST_LINE_BYTES + 1, ' '), 'line_too_long'],
  ])('%s is a 400', (_what, line, type) => {
    expect(refusalOf(thrownBy(() => parseLine(Buffer.from(line))))).toMatchObject({ status: 400, type })
  })
})

test.each<[unknown, string | null]>([
  ['mine', 'mine'],
  ['😀', '😀'],
  ['x'.repeat(512), 'x'.repeat(512)],
  ['x'.repeat(513), null],
  ['', null],
  ['a\0b', null],
  ['\ud800', null],
  [7, null],
  [null, null],
  [undefined, null],
])('of the custom_id %j is given back %j', (custom_id, expected) => {
  expect(customIdOf({ custom_id })).toBe(expected)
})

describe('a row', () => {
  test.each<[string, object, RowContext, string | null, string]>([
    ['in the form of OpenAI', row(), context, 'a', 'openai/gpt-5-nano'],
    ['with the short path', row({ url: '/chat/completions' }), context, 'a', 'openai/gpt-5-nano'],
    ['that is the body itself', body, context, null, 'openai/gpt-5-nano'],
    ['that is the body with an id', { ...body, custom_id: 'b' }, context, 'b', 'openai/gpt-5-nano'],
    ['that does not stream', rowOf({ stream: false }), context, 'a', 'openai/gpt-5-nano'],
    [
      'for embeddings',
      row({ url: '/v1/embeddings', body: { model: 'terminaili/embed-balanced', input: 'x' } }),
      embeddings,
      'a',
      'terminaili/embed-balanced',
    ],
    [
      'for embeddings that is the body itself',
      { model: 'terminaili/embed-balanced', input: ['x', 'y'] },
      embeddings,
      null,
      'terminaili/embed-balanced',
    ],
  ])('%s is taken', (_what, line, where, customId, model) => {
    const parsed = parseRow({ ...line }, where)
    expect([parsed.customId, parsed.model.id]).toEqual([customId, model])
    expect(parsed.body).not.toHaveProperty('custom_id')
  })

  test.each<[string, object, RowContext, string | undefined, string | undefined]>([
    ['no custom_id', { ...row(), custom_id: undefined }, context, 'custom_id', 'invalid_request'],
    ['a custom_id that is a number', row({ custom_id: 1 }), context, 'custom_id', 'invalid_request'],
    [
      'an unusable custom_id beside the body itself',
      { ...body, custom_id: 1 },
      context,
      'custom_id',
      'invalid_request',
    ],
    ['another method', row({ method: 'GET' }), context, 'method', 'invalid_request'],
    ['no method', { ...row(), method: undefined }, context, 'method', 'invalid_request'],
    ['another url', row({ url: '/v1/responses' }), context, 'url', 'invalid_request'],
    ['the url of the other endpoint', row({ url: '/v1/embeddings' }), context, 'url', 'invalid_request'],
    ['no url', { ...row(), url: undefined }, context, 'url', 'invalid_request'],
    ['a body that is a text', row({ body: 'x' }), context, 'body', 'invalid_request'],
    ['a body that is a list', row({ body: [] }), context, 'body', 'invalid_request'],
    ['no body', { ...row(), body: undefined }, context, 'body', 'invalid_request'],
    ['nothing but an id', { custom_id: 'a' }, context, 'method', 'invalid_request'],
    ['stream', rowOf({ stream: true }), context, 'body.stream', 'invalid_request'],
    ['no model', row({ body: { messages } }), context, 'body.model', 'invalid_request'],
    ['a model that is a number', rowOf({ model: 1 }), context, 'body.model', 'invalid_request'],
    ['an unknown model', rowOf({ model: 'nope' }), context, 'model', 'model_not_found'],
    ['no messages', row({ body: { model: 'openai/gpt-5-nano' } }), context, 'messages', 'invalid_request'],
    ['messages of a wrong type', rowOf({ messages: 'x' }), context, 'messages', 'invalid_request'],
    [
      'a wrong role',
      rowOf({ messages: [{ role: 'boss', content: 'x' }] }),
      context,
      'messages.0.role',
      'invalid_request',
    ],
    ['a limit of 0', rowOf({ max_tokens: 0 }), context, 'max_tokens', 'invalid_request'],
    [
      'an image for a model that cannot see',
      rowOf({
        model: 'codestral-2508',
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x' } }] }],
      }),
      context,
      'messages.0.content.0',
      'model_does_not_support_vision',
    ],
    [
      'chat with an embedding model',
      rowOf({ model: 'terminaili/embed-balanced' }),
      context,
      'model',
      'model_does_not_support_chat',
    ],
    [
      'embeddings of a chat model',
      { model: 'openai/gpt-5-nano', input: 'x' },
      embeddings,
      'model',
      'model_does_not_support_embeddings',
    ],
    [
      'embeddings of nothing',
      { model: 'terminaili/embed-balanced', input: '' },
      embeddings,
      'input',
      'invalid_request',
    ],
    ['embeddings without input', { model: 'terminaili/embed-balanced' }, embeddings, 'input', 'invalid_request'],
    [
      'a model that the key may not use',
      row(),
      { ...context, rules: { ...anyRules, allowedModels: ['grok-4.3'] } },
      'model',
      'model_not_allowed',
    ],
  ])('with %s is refused, naming the field', (_what, line, where, param, type) => {
    expect(refusalOf(thrownBy(() => parseRow({ ...line }, where)))).toMatchObject({ param, type })
  })
})

describe('the most that a row costs, at half the price', () => {
  const output = (fields: object) => {
    const parsed = parseRow(rowOf(fields), context)
    return (
      worstPrice(parsed, 'chat_completions') -
      worstPrice(parseRow(rowOf({ max_tokens: 1 }), context), 'chat_completions')
    )
  }
  test.each<[string, object, bigint]>([
    ['4,096 tokens where none are asked', {}, 4_095n * 200n],
    ['the tokens asked', { max_tokens: 10 }, 9n * 200n],
    ['the smaller of two limits', { max_tokens: 10, max_completion_tokens: 20 }, 9n * 200n],
    ['the most the model gives', { max_tokens: 1e9 }, 127_999n * 200n],
    ['every choice', { max_tokens: 10, n: 3 }, 29n * 200n],
  ])('is of %s', (_what, fields, nanos) => {
    // The other fields are some bytes, at 25 nanos each.
    expect(output(fields) - nanos).toBeLessThan(30n * 25n)
    expect(output(fields) - nanos).toBeGreaterThanOrEqual(0n)
  })

  test.each([[{}], [{ max_tokens: 10 }], [{ max_completion_tokens: 20 }]])('leaves with the row of %j', fields => {
    const { body, most } = sentRow(parseRow(rowOf(fields), context))
    expect(body).toMatchObject({ max_tokens: most.output, max_completion_tokens: most.output })
  })

  test('of embeddings is of the input alone: a token a byte', () => {
    const input = 'x'.repeat(300)
    const parsed = parseRow({ model: 'terminaili/embed-balanced', input: [input, input] }, embeddings)
    expect(worstPrice(parsed, 'embeddings')).toBe(6_160n)
  })
})

describe('the error of a row', () => {
  test.each<[string, unknown, number | undefined, object]>([
    [
      'names line and field',
      badRequest('`url` is wrong.', 'url'),
      3,
      { code: 'bad_request', message: '`url` is wrong.', param: 'url', line: 3 },
    ],
    [
      'has the finer kind',
      badRequest('x', undefined, 'duplicate_custom_id'),
      1,
      { code: 'duplicate_custom_id', message: 'x', line: 1 },
    ],
    ['of credit', paymentRequired('no credit'), undefined, { code: 'insufficient_credit', message: 'no credit' }],
    ['of load', rateLimited('busy', 1), undefined, { code: 'rate_limit', message: 'busy' }],
    [
      'of ours says nothing of it',
      new Error('SELECT secret'),
      undefined,
      { code: 'internal_error', message: 'The request failed on our side.' },
    ],
    ['that is no error', 'boom', 2, { code: 'internal_error', message: 'The request failed on our side.', line: 2 }],
  ])('%s', (_what, error, line, expected) => {
    expect(rowErrorOf(error, line)).toEqual(expected)
  })
})
