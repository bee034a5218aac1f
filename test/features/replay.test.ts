import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { Worker } from '@temporalio/worker'
import { builtPath } from '../support/built.ts'

/**
 * Histories recorded from the real server (`temporal workflow show -o json`), with the workers' names replaced.
 * A change of workflow code that breaks one would break jobs that are under way: it needs `patched()`.
 */
const history = (name: string): { events: { activityTaskScheduledEventAttributes?: object }[] } =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../histories/${name}.json`, import.meta.url)), 'utf8'))

const replay = (events: unknown): Promise<void> =>
  Worker.runReplayHistory({ workflowBundle: { codePath: builtPath('workflows/bundle.js') } }, events)

describe('a recorded history is replayed by the workflows as they are', () => {
  test.each(['batch-completed', 'batch-cancelled', 'batch-failed'])('%s', async name => {
    await expect(replay(history(name))).resolves.toBeUndefined()
  })

  test('and one in which another activity was scheduled is not', async () => {
    const changed = JSON.parse(
      JSON.stringify(history('batch-completed')).replace('"runBatchChunk"', '"runAnotherStep"'),
    )
    await expect(replay(changed)).rejects.toThrow(/[Nn]ondeterminis/)
  })
})
