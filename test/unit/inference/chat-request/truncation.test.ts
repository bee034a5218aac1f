import { expect, test } from '@jest/globals'
import { startThatFits } from '../../../../domain/inference/chat-request/truncation.rules.ts'

const says = (role: string, words: number) => ({ role, content: ' word'.repeat(words) })
const long = [says('user', 100), says('assistant', 100), says('user', 10), says('assistant', 10), says('user', 1)]

test.each<[string, { role: string; content: string }[], number, number]>([
  ['all of what fits', long, 10_000, 0],
  ['turns as a whole', long, 150, 2],
  ['the last turn where no more fits', long, 30, 4],
  ['the last turn where nothing fits', long, 0, 4],
  ['a conversation without a user from its beginning', [says('assistant', 100)], 10, 0],
  ['nothing of nothing', [], 0, 0],
])('%s is kept', (_what, conversation, mostTokens, start) => {
  expect(startThatFits({ instructions: [], conversation, mostTokens } as never)).toBe(start)
})

test('instructions take their room', () => {
  const fit = { conversation: long, mostTokens: 150 }
  expect(startThatFits({ ...fit, instructions: [says('system', 50)] } as never)).toBe(4)
})

test('many turns are each looked at once', () => {
  let looked = 0
  const conversation = Array.from({ length: 2_000 }, () => ({
    role: 'user',
    get content() {
      looked += 1
      return 'x'
    },
  }))
  startThatFits({ instructions: [], conversation, mostTokens: 0 } as never)
  expect(looked).toBeLessThan(10 * conversation.length)
})
