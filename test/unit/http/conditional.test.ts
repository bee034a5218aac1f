import { describe, expect, test } from '@jest/globals'
import { judgeConditions, type Verdict } from '../../../api/http/gives/conditional.ts'

const ETAG = 'abc'
const MODIFIED = new Date('2026-11-28T08:00:00.750Z')
const AT = 'Sat, 28 Nov 2026 08:00:00 GMT'
const BEFORE = 'Sat, 28 Nov 2026 07:59:59 GMT'
const AFTER = 'Sat, 28 Nov 2026 08:00:01 GMT'

const judge = (headers: Record<string, string>, modifiedAt: Date | undefined = MODIFIED): Verdict =>
  judgeConditions(name => headers[name], { etag: ETAG, ...(modifiedAt && { modifiedAt }) })

describe('preconditions', () => {
  test.each<[Record<string, string>, Verdict]>([
    [{}, 'content'],
    [{ 'if-none-match': '"abc"' }, 'not_modified'],
    [{ 'if-none-match': 'W/"abc"' }, 'not_modified'],
    [{ 'if-none-match': 'abc' }, 'not_modified'],
    [{ 'if-none-match': '"x", W/"y" ,"abc"' }, 'not_modified'],
    [{ 'if-none-match': '*' }, 'not_modified'],
    [{ 'if-none-match': '"abcd"' }, 'content'],
    [{ 'if-none-match': '"x,abc,y"' }, 'content'],
    [{ 'if-none-match': '"' }, 'content'],
    [{ 'if-none-match': ',,,' }, 'content'],
    [{ 'if-match': '"abc"' }, 'content'],
    [{ 'if-match': '*' }, 'content'],
    [{ 'if-match': '"x", "abc"' }, 'content'],
    [{ 'if-match': '"x"' }, 'failed'],
    [{ 'if-match': 'W/"abc"' }, 'failed'],
    [{ 'if-modified-since': AT }, 'not_modified'],
    [{ 'if-modified-since': AFTER }, 'not_modified'],
    [{ 'if-modified-since': BEFORE }, 'content'],
    [{ 'if-modified-since': 'Saturday, 28-Nov-26 08:00:00 GMT' }, 'not_modified'],
    [{ 'if-modified-since': 'Sat Nov 28 08:00:00 2026' }, 'not_modified'],
    [{ 'if-modified-since': 'Sat Nov 28 07:00:00 2026' }, 'content'],
    ...[
      '',
      '1',
      '2027-01-01',
      'Sat, 99 Nov 2026 08:00:00 GMT',
      'Sat, 28 Nov 2027 08:00:00 +0100',
      'x'.repeat(10_000),
    ].map((text): [Record<string, string>, Verdict] => [{ 'if-modified-since': text }, 'content']),
    [{ 'if-unmodified-since': AT }, 'content'],
    [{ 'if-unmodified-since': AFTER }, 'content'],
    [{ 'if-unmodified-since': BEFORE }, 'failed'],
    [{ 'if-unmodified-since': 'yesterday' }, 'content'],
    // Etags count before dates, and If-Match before If-None-Match.
    [{ 'if-none-match': '"x"', 'if-modified-since': AT }, 'content'],
    [{ 'if-none-match': '"abc"', 'if-modified-since': BEFORE }, 'not_modified'],
    [{ 'if-match': '"abc"', 'if-unmodified-since': BEFORE }, 'content'],
    [{ 'if-match': '"x"', 'if-none-match': '"abc"' }, 'failed'],
    [{ 'if-match': '"abc"', 'if-none-match': '"abc"' }, 'not_modified'],
    [{ 'if-range': '"abc"' }, 'content'],
    [{ 'if-range': 'W/"abc"' }, 'whole'],
    [{ 'if-range': '"x"' }, 'whole'],
    [{ 'if-range': AT }, 'content'],
    [{ 'if-range': AFTER }, 'whole'],
    [{ 'if-range': BEFORE }, 'whole'],
    [{ 'if-range': '"abc"', 'if-none-match': '"abc"' }, 'not_modified'],
  ])('%j: %s', (headers, verdict) => {
    expect(judge(headers)).toBe(verdict)
  })

  test('of dates are ignored where nobody knows when the content changed, but for ranges', () => {
    const judgeUndated = (headers: Record<string, string>) => judgeConditions(name => headers[name], { etag: ETAG })
    expect(judgeUndated({ 'if-modified-since': AFTER })).toBe('content')
    expect(judgeUndated({ 'if-unmodified-since': BEFORE })).toBe('content')
    expect(judgeUndated({ 'if-range': AT })).toBe('whole')
  })

  test('of 16 KB of the worst shapes are read at once', () => {
    const began = performance.now()
    for (const text of ['"', ',', 'W/', '" ', 'W/"', '"a,', ' '])
      judge({ 'if-none-match': text.repeat(16_000 / text.length) })
    expect(performance.now() - began).toBeLessThan(1_000)
  })
})
