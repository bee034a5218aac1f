import { describe, expect, test } from '@jest/globals'
import { countChatTokens } from '../../../../infra/tokenizer/chat-tokens.ts'
import { countImageTokens, tileTokens } from '../../../../infra/tokenizer/image-tokens.ts'
import { imageSize } from '../../../../infra/tokenizer/image-size.ts'
import { countTextTokens } from '../../../../infra/tokenizer/text-tokens.ts'

/** The messages, tools and counts of the OpenAI Cookbook, "How to count tokens with tiktoken", sections 6 and 7. */
const jargonMessages = [
  {
    role: 'system',
    content: 'You are a helpful, pattern-following assistant that translates corporate jargon into plain English.',
  },
  { role: 'system', name: 'example_user', content: 'New synergies will help drive top-line growth.' },
  { role: 'system', name: 'example_assistant', content: 'Things working well together will increase revenue.' },
  {
    role: 'system',
    name: 'example_user',
    content: "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
  },
  {
    role: 'system',
    name: 'example_assistant',
    content: "Let's talk later when we're less busy about how to do better.",
  },
  {
    role: 'user',
    content: "This late pivot means we don't have time to boil the ocean for the client deliverable.",
  },
]
const weatherMessages = [
  { role: 'system', content: 'You are a helpful assistant that can answer to questions about the weather.' },
  { role: 'user', content: "What's the weather like in San Francisco?" },
]
const weatherTool = {
  type: 'function',
  function: {
    name: 'get_current_weather',
    description: 'Get the current weather in a given location',
    parameters: {
      type: 'object',
      properties: {
        location: { type: 'string', description: 'The city and state, e.g. San Francisco, CA' },
        unit: {
          type: 'string',
          description: 'The unit of temperature to return',
          enum: ['celsius', 'fahrenheit'],
        },
      },
      required: ['location'],
    },
  },
}

describe('countChatTokens', () => {
  test('matches what the OpenAI API counted for messages', () => {
    expect(countChatTokens(jargonMessages, [], 'o200k_base')).toBe(124)
    expect(countChatTokens(jargonMessages, [], 'cl100k_base')).toBe(129)
  })

  test('matches what the OpenAI API counted for a tool', () => {
    expect(countChatTokens(weatherMessages, [weatherTool], 'o200k_base')).toBe(101)
    expect(countChatTokens(weatherMessages, [weatherTool], 'cl100k_base')).toBe(105)
  })

  test('an image counts by tiles, not as the text of its data URL', () => {
    const url = `data:image/png;base64,${pngHead(512, 512).toString('base64')}${'A'.repeat(100_000)}`
    const image = { type: 'image_url', image_url: { url } }
    const text = { type: 'text', text: 'What is this?' }
    const plain = countChatTokens([{ role: 'user', content: 'What is this?' }])
    expect(countChatTokens([{ role: 'user', content: [text, image] }])).toBe(plain + 255)
  })

  test('tool calls and tool results count, identifiers do not', () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } }
    const messages = [
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: 'Rain' },
    ]
    const words = ['assistant', 'get_weather', '{"city":"Oslo"}', 'tool', 'Rain']
    const expected = words.reduce((total, word) => total + countTextTokens(word), 3 + 2 * 3 + 3)
    expect(countChatTokens(messages)).toBe(expected)
  })

  test('nested tool parameters count and cyclic depth ends', () => {
    const flat = { type: 'function', function: { name: 'f', parameters: { properties: { a: { type: 'object' } } } } }
    const nested = structuredClone(flat)
    Object.assign(nested.function.parameters.properties.a, { properties: { b: { type: 'string' } } })
    expect(countChatTokens([], [nested])).toBeGreaterThan(countChatTokens([], [flat]))
  })

  test('content of an unknown shape counts nothing and never throws', () => {
    const odd = [{}, { role: 7, content: 5 }, { content: [null, 'x', { type: 'image_url' }, { type: 'file' }] }]
    expect(countChatTokens(odd, [{}, { function: null }])).toBeGreaterThan(0)
  })
})

describe('images', () => {
  // The examples of OpenAI's vision guide, and a single tile.
  test.each([
    [1024, 1024, 765],
    [2048, 4096, 1105],
    [512, 512, 255],
    [1, 1, 255],
  ])('%i x %i with high detail is %i tokens', (width, height, tokens) => {
    expect(tileTokens({ width, height })).toBe(tokens)
  })

  test('low detail is 85; an address is taken as 1024 x 1024', () => {
    expect(countImageTokens('https://example.com/a.png', 'low')).toBe(85)
    expect(countImageTokens('https://example.com/a.png', 'auto')).toBe(765)
    expect(countImageTokens('data:image/png;base64,', 'high')).toBe(765)
  })

  test('sizes are read from real files', () => {
    const gif = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')
    const webp = Buffer.from('UklGRh4AAABXRUJQVlA4TBEAAAAvAAAAAAfQ//73v/+BiOh/AAA=', 'base64')
    expect(imageSize(gif)).toEqual({ width: 1, height: 1 })
    expect(imageSize(webp)).toEqual({ width: 1, height: 1 })
    expect(imageSize(pngHead(640, 480))).toEqual({ width: 640, height: 480 })
    expect(imageSize(jpegHead(300, 200))).toEqual({ width: 300, height: 200 })
    expect(imageSize(pngHead(640, 480).subarray(0, 20))).toBeUndefined()
    expect(imageSize(Buffer.from('no image at all'))).toBeUndefined()
  })
})

function pngHead(width: number, height: number): Buffer {
  const head = Buffer.alloc(33)
  head.write('\x89PNG\r\n\x1a\n', 0, 'latin1')
  head.writeUInt32BE(13, 8)
  head.write('IHDR', 12, 'latin1')
  head.writeUInt32BE(width, 16)
  head.writeUInt32BE(height, 20)
  return head
}

/** SOI, a JFIF segment, a quantization table's place, then the frame. */
function jpegHead(width: number, height: number): Buffer {
  const app0 = Buffer.from('ffe000104a46494600010100000100010000', 'hex')
  const table = Buffer.concat([Buffer.from('ffc40004', 'hex'), Buffer.alloc(2)])
  const frame = Buffer.from('ffc0001108000000000301220002110103110100', 'hex')
  frame.writeUInt16BE(height, 5)
  frame.writeUInt16BE(width, 7)
  return Buffer.concat([Buffer.from('ffd8', 'hex'), app0, table, frame])
}
