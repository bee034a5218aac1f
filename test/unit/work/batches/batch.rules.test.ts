import { describe, expect, test } from '@jest/globals'
import {
  chunkCountOf,
  endpointOf,
  ENDPOINT_URLS,
  errorLine,
  isTerminal,
  outputLine,
  parseCompletionWindow,
  batchDetails,
  ROWS_PER_CHUNK,
} from '../../../../domain/work/batches/batch.rules.ts'
import { BATCH_STATUSES } from '../../../../domain/work/batches/batch.schema.ts'
import { refusalOf, thrownBy } from '../../fixtures.ts'

describe('a completion window', () => {
  test.each<[string | undefined, number]>([
    [undefined, 86_400],
    ['24h', 86_400],
    ['30m', 1_800],
    ['600s', 600],
    ['1s', 1],
    ['7d', 604_800],
    ['168h', 604_800],
    ['604800s', 604_800],
    ['007h', 25_200],
  ])('of %s is %s seconds', (text, seconds) => {
    expect(parseCompletionWindow(text)).toBe(seconds)
  })

  test.each([
    '',
    '0s',
    '0h',
    '8d',
    '169h',
    '604801s',
    '-1h',
    '1.5h',
    '24',
    'h',
    '24 h',
    '24H',
    '1w',
    '24h ',
    '24h30m',
    '99999999s',
    '1e3s',
    '24h\n',
    'ten',
  ])('of %j is a 400', text => {
    const refusal = refusalOf(thrownBy(() => parseCompletionWindow(text)))
    expect(refusal).toMatchObject({ status: 400, param: 'completion_window' })
  })
})

test.each([
  [undefined, 'chat_completions'],
  ['chat_completions', 'chat_completions'],
  ['/v1/chat/completions', 'chat_completions'],
  ['embeddings', 'embeddings'],
  ['/v1/embeddings', 'embeddings'],
] as const)('the endpoint %s is %s', (spelling, endpoint) => {
  expect(endpointOf(spelling)).toBe(endpoint)
  expect(ENDPOINT_URLS[endpoint][0]).toMatch(/^\/v1\//)
})

test('the statuses that are an end', () => {
  expect(BATCH_STATUSES.filter(isTerminal)).toEqual(['completed', 'failed', 'expired', 'cancelled'])
})

test.each([
  [0, 0],
  [1, 1],
  [ROWS_PER_CHUNK, 1],
  [ROWS_PER_CHUNK + 1, 2],
  [50_000, 200],
])('%s rows are %s chunks', (rows, chunks) => {
  expect(chunkCountOf(rows)).toBe(chunks)
})

describe('lines are in the shape of OpenAI', () => {
  test('of an output', () => {
    expect(outputLine('r1', 'mine', { ok: 1 })).toEqual({
      id: 'batch_req_r1',
      custom_id: 'mine',
      response: { status_code: 200, request_id: 'r1', body: { ok: 1 } },
      error: null,
    })
  })

  test.each([
    ['r1', 'batch_req_r1'],
    [null, null],
  ])('of an error, with the request id %s', (requestId, id) => {
    const error = { code: 'c', message: 'two\nlines', param: 'p', line: 7 }
    const line = errorLine(requestId, null, error)
    expect(line).not.toContain('\n')
    expect(JSON.parse(line)).toEqual({ id, custom_id: null, response: null, error })
  })
})

describe('the progress that operators see', () => {
  test.each<[number, number, number, string, number]>([
    [0, 0, 0, '0 %', 0],
    [10, 0, 0, '0 %', 10],
    [3, 1, 0, '33 %', 2],
    [1_000, 999, 0, '99 %', 1],
    [10, 8, 2, '100 %', 0],
  ])('of %s rows, %s completed and %s failed', (total, completed, failed, percent, left) => {
    const details = batchDetails('batch_1', 'running', { total, completed, failed })
    expect(details).toMatchObject({
      id: 'batch_1',
      phase: 'running',
      figures: { rows: total, completed, failed, left },
    })
    expect(details.figures['done']).toMatch(/^`[█░]{10}` /)
    expect(details.figures['done']).toMatch(new RegExp(` ${percent}$`))
  })
})
