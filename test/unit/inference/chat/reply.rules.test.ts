import { describe, expect, test } from '@jest/globals'
import { ChatCompletionResponse } from '../../../../domain/inference/chat-request/chat.schema.ts'
import { chunkView, chunkWriter } from '../../../../domain/inference/chat/chunks.ts'
import { closingChunk, completionView } from '../../../../domain/inference/chat/reply.rules.ts'
import { requireValid } from '../../../../domain/core/validation.rules.ts'
import { chunkOf } from '../../../support/chunks.ts'

const head = { id: 'chatcmpl-1', created: 5, model: 'public/id' }
const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
const ipop = { request_id: '1', latency_ms: 1, cost_usd: 0, cache_hit: false }

describe('a completion', () => {
  const upstream = {
    id: 'gen-secret',
    provider: 'Somebody',
    model: 'vendor/model',
    created: 1,
    system_fingerprint: 'fp',
    usage: { prompt_tokens: 99, cost: 0.1 },
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'hi' },
        finish_reason: 'stop',
        native_finish_reason: 'STOP',
        logprobs: null,
      },
    ],
  }

  test('is closed, under the public id, with our figures', () => {
    const reply = completionView(head, upstream, usage, ipop)
    expect(reply).toEqual({
      ...head,
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop', logprobs: null }],
      usage,
      ipop,
    })
    expect(() => requireValid(ChatCompletionResponse, reply)).not.toThrow()
  })
})

describe('a chunk', () => {
  test('is closed', () => {
    const chunk = chunkOf({ content: 'h' })
    const closed = {
      ...head,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { content: 'h' }, finish_reason: null }],
    }
    expect(chunkView(head, chunk)).toEqual(closed)
    expect(JSON.parse(chunkWriter(head)(chunk))).toEqual(closed)
  })

  test('closing a stream has usage and no choices', () => {
    expect(closingChunk(head, usage, ipop)).toEqual({
      ...head,
      object: 'chat.completion.chunk',
      choices: [],
      usage,
      ipop,
    })
  })
})
