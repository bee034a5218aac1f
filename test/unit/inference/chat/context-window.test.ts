import { expect, test } from '@jest/globals'
import { requireWithinWindow } from '../../../../domain/inference/chat/context-window.ts'
import type { CatalogEntry } from '../../../../domain/inference/catalog/catalog.schema.ts'
import type { ChatCompletionRequest } from '../../../../domain/inference/chat-request/chat.schema.ts'
import { DomainError } from '../../../../domain/core/errors.ts'
import { countChat } from '../../../../domain/inference/threads/tasks.ts'
import type { ThreadWork } from '../../../../domain/inference/threads/thread-work.ts'
import { launchModel } from '../../fixtures.ts'

const known: CatalogEntry = { ...launchModel('openai/gpt-5-nano'), max_input_tokens: 100 }
const { tokenizer: _tokenizer, ...rest } = known
const foreign: CatalogEntry = rest

const saying = (content: unknown, fields: object = {}) =>
  ({ model: 'm', messages: [{ role: 'user', content }], ...fields }) as ChatCompletionRequest
/** Each ` word` is a token of o200k_base. */
const words = (count: number) => ' word'.repeat(count)

test.each<[string, CatalogEntry, ChatCompletionRequest, boolean]>([
  ['a short text fits', known, saying('hello'), false],
  ['a text of just the window fits', known, saying(words(93)), false],
  ['a token more does not', known, saying(words(94)), true],
  [
    'text parts count together',
    known,
    saying([
      { type: 'text', text: words(50) },
      { type: 'text', text: words(50) },
    ]),
    true,
  ],
  [
    'an image and a long text',
    known,
    saying([
      { type: 'image_url', image_url: { url: 'https://x' } },
      { type: 'text', text: words(200) },
    ]),
    true,
  ],
  ['long but dense text fits', known, saying('a'.repeat(250)), false],
  ['another tokenizer might fit thrice the window', foreign, saying(words(290)), false],
  ['more than thrice the window fits none', foreign, saying(words(310)), true],
  ['content that is null', known, saying(null), false],
  ['parts without text', known, saying([{ type: 'input_audio' }, null]), false],
])('%s', async (_what, model, request, tooLong) => {
  const threadWork: Pick<ThreadWork, 'countChat'> = { countChat: (_, chat) => Promise.resolve(countChat(chat)) }
  const checked = Promise.resolve(requireWithinWindow({ threadWork }, { tenant: 't' }, request, model))
  const refused = await checked.catch((error: unknown) => error)
  expect(refused instanceof DomainError && refused.code).toBe(tooLong && 'context_length_exceeded')
})
