import { expect, test } from '@jest/globals'
import { detailsMarkdown, elapsedText } from '../../../../domain/durable/jobs/details.rules.ts'

test('a job is told in Markdown, with what it has done and how long it took', () => {
  const text = detailsMarkdown({ id: 'turn_1', phase: 'completed', model: 'a/b', figures: { attempt: 2 } }, 12_345)
  expect(text).toBe(
    ['**turn_1** · completed · 12.3 s after its start', '', '| model | attempt |', '| --- | --- |', '| a/b | 2 |'].join(
      '\n',
    ),
  )
})

test('a model that is not known yet is left open', () => {
  const text = detailsMarkdown({ id: 'batch_1', phase: 'validating', figures: { rows: 0 } }, 0)
  expect(text).toContain('| model | rows |\n| --- | --- |\n| … | 0 |')
})

test.each([
  [0, '0.0 s'],
  [99, '0.0 s'],
  [59_999, '59.9 s'],
  [60_000, '1 min 0 s'],
  [3_603_000, '1 h 0 min 3 s'],
  [90_061_000, '25 h 1 min 1 s'],
])('%s ms are %s', (elapsedMs, text) => {
  expect(elapsedText(elapsedMs)).toBe(text)
})
