import { promptWords, wordsIn, type FakeScript, type UpstreamBody } from './script.ts'

/** The text of a reply in the pieces in which a stream brings it. */
export function piecesOf(script: FakeScript, body: UpstreamBody, prompt: string): string[] {
  if (script.chunks) return script.chunks
  if (script.toolCalls && script.reply === undefined) return []
  const text = script.reply ?? (script.echo ? JSON.stringify(body) : `echo: ${prompt}`)
  return body.stream ? (text.match(/\s*\S+|\s+$/g) ?? []) : [text]
}

function usageOf(script: FakeScript, body: UpstreamBody, text: string): object {
  if (script.usage) return script.usage
  const [prompt, completion] = [promptWords(body), wordsIn(text)]
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}

function finishReason(script: FakeScript): string {
  if (script.errorFinish) return 'error'
  return script.finishReason ?? (script.toolCalls ? 'tool_calls' : 'stop')
}

export function errorBody(script: FakeScript, status: number): object {
  const message = script.errorMessage ?? `fake failure ${status}`
  return { error: { message, type: 'fake_error', code: script.errorCode ?? status, param: null } }
}

/** The body of a plain chat reply. */
export function chatBody(script: FakeScript, body: UpstreamBody, text: string): object {
  const toolCalls = toolCallsOf(script)
  const message = {
    role: 'assistant',
    content: text === '' && toolCalls ? null : text,
    refusal: null,
    ...(toolCalls && { tool_calls: toolCalls }),
    ...script.extraMessage,
  }
  return {
    ...envelope(body, 'chat.completion'),
    choices: [{ index: 0, message, finish_reason: finishReason(script), logprobs: null }],
    ...(!script.noUsage && { usage: usageOf(script, body, text) }),
    ...script.extra,
  }
}

export function textChunk(script: FakeScript, body: UpstreamBody, content: string, isFirst: boolean): object {
  return chunk(body, { ...(isFirst && { role: 'assistant' }), content, ...script.extraMessage }, script.extra)
}

/** The chunks behind the text: tool calls, the finish reason, and the usage if the request wants it. */
export function* lastChunks(script: FakeScript, body: UpstreamBody, text: string): Generator<object> {
  for (const [index, call] of (toolCallsOf(script) ?? []).entries()) {
    const { name, arguments: args } = call.function
    const half = Math.ceil(args.length / 2)
    yield chunk(body, { tool_calls: [{ index, ...call, function: { name, arguments: '' } }] })
    for (const piece of [args.slice(0, half), args.slice(half)]) {
      yield chunk(body, { tool_calls: [{ index, function: { arguments: piece } }] })
    }
  }
  yield { ...envelope(body, CHUNK), choices: [{ index: 0, delta: {}, finish_reason: finishReason(script) }] }
  if (!body.stream_options?.include_usage || script.noUsage) return
  yield { ...envelope(body, CHUNK), choices: [], usage: usageOf(script, body, text) }
}

/** A vector that depends on the text's length only; the same for the same text. */
export function embeddingsBody(script: FakeScript, body: UpstreamBody): object {
  const inputs = inputsOf(body.input)
  const tokens = promptWords(body)
  return {
    object: 'list',
    model: body.model,
    data: inputs.map((text, index) => ({
      object: 'embedding',
      index,
      embedding: encoded(vectorOf(String(text), body), body),
    })),
    ...(!script.noUsage && { usage: script.usage ?? { prompt_tokens: tokens, total_tokens: tokens } }),
    ...script.extra,
  }
}

/** A list of numbers is one input. */
const inputsOf = (input: unknown): unknown[] =>
  Array.isArray(input) && typeof input[0] !== 'number' ? (input as unknown[]) : [input]

function vectorOf(text: string, { dimensions = 8 }: UpstreamBody): number[] {
  return Array.from({ length: dimensions }, (_, i) => Math.fround(Math.sin(text.length + i)))
}

function encoded(vector: number[], { encoding_format: format }: UpstreamBody): number[] | string {
  return format === 'base64' ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector
}

const CHUNK = 'chat.completion.chunk'

function chunk(body: UpstreamBody, delta: object, extra: object = {}): object {
  return { ...envelope(body, CHUNK), choices: [{ index: 0, delta, finish_reason: null }], ...extra }
}

function toolCallsOf(script: FakeScript) {
  return script.toolCalls?.map((call, index) => ({
    id: call.id ?? `call_${index}`,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  }))
}

let replies = 0

function envelope(body: UpstreamBody, object: string): object {
  return { id: `gen-fake-${++replies}`, object, created: 1_700_000_000, model: body.model, provider: 'Fake' }
}
