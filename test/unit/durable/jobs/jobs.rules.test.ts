import { expect, test } from '@jest/globals'
import { redeliverAfterMs, jobRunOf, LOSS_TEXT, workflowIdOf } from '../../../../domain/durable/jobs/jobs.rules.ts'

test.each([
  ['batch_1', 1, 'batch_1.1'],
  ['batch_0198', 12, 'batch_0198.12'],
  ['with.dots', 3, 'with.dots.3'],
])('run of %s number %s is the workflow %s, and back', (resourceId, run, workflowId) => {
  expect(workflowIdOf({ resourceId, run })).toBe(workflowId)
  expect(jobRunOf(workflowId)).toEqual({ resourceId, run })
})

test.each(['', 'batch_1', '.1', 'batch_1.', 'batch_1.x', 'batch_1.-1', 'batch_1.1 '])(
  '%j is not the workflow of a job',
  id => {
    expect(() => jobRunOf(id)).toThrow(TypeError)
  },
)

test.each([
  [1, 1_000],
  [2, 2_000],
  [3, 4_000],
  [5, 16_000],
  [6, 30_000],
  [7, 30_000],
  [10_000, 30_000],
])('after attempt %s a command waits %s ms', (attempts, ms) => {
  expect(redeliverAfterMs(attempts)).toBe(ms)
})

test('every loss is told in a sentence', () => {
  for (const text of Object.values(LOSS_TEXT)) expect(text).toMatch(/^The workflow .*\.$/)
})
