/**
 * What a test wants of one upstream call. It travels in the request itself, as the last user message (or the only
 * input of an embeddings call): `{"fake": {…}}`. So tests in other processes share one upstream without shared state.
 */
export interface FakeScript {
  /** Calls with the same id are recorded together; make it unique to the test. */
  id?: string
  /** A second key to record under, for a whole batch of calls with ids of their own. */
  group?: string
  /** The text of the reply; default `echo: ` and the message. */
  reply?: string
  /** Reply with the request body as JSON. */
  echo?: boolean
  /** The text in these pieces, one a chunk; default is a chunk a word. */
  chunks?: string[]
  /** `#` in the chunks is the number of the call of this id, from 1: each call's text is its own. */
  numbered?: boolean
  chunkDelayMs?: number
  /** Before anything is sent; default is the server's (POST /__defaults). */
  delayMs?: number
  /** Delay only the first so many calls of this id. */
  delayTimes?: number
  /** Nothing is sent until the calls of its id are released: `releaseCalls`. */
  held?: boolean
  /** Fail with this status in OpenAI's error shape; `failTimes` alone means 503. */
  status?: number
  errorCode?: string
  errorMessage?: string
  /** Seconds, as the Retry-After header. */
  retryAfter?: number
  /** Fail only the first so many calls of this id. */
  failTimes?: number
  /** Fail by cutting the connection, without an answer. */
  cut?: boolean
  /** Never answer. */
  hang?: boolean
  /** Streams so many text chunks, and the others once the calls of its id are released. */
  heldAfterChunks?: number
  /** Send so many text chunks (in a plain reply: half the body), then stay silent. */
  hangAfterChunks?: number
  /** The same, but the connection is cut. */
  dieAfterChunks?: number
  /** Cut only the first so many calls of this id. */
  dieTimes?: number
  /** Status 200, and an `error` in the body or after the chunks. */
  errorIn200?: boolean
  /** `finish_reason: "error"`. */
  errorFinish?: boolean
  finishReason?: string
  /** Status 200 with a body, or a chunk after the text, that is not JSON. */
  malformed?: boolean
  /** Ends a stream cleanly, but without finish reason, usage and [DONE]. */
  noDone?: boolean
  toolCalls?: { id?: string; name: string; arguments: string }[]
  /** What is said once the results of the tools are there, instead of calling them again. */
  afterTools?: string
  /** The bytes of the reply as they are, streamed and not. */
  raw?: { stream: string; reply: string }
  /** Replaces the counted usage. */
  usage?: Record<string, unknown>
  noUsage?: boolean
  /** More fields for the body of the reply and for its message, to see what is passed on. */
  extra?: Record<string, unknown>
  extraMessage?: Record<string, unknown>
  headers?: Record<string, string>
  video?: FakeVideo
}

/** What becomes of a video job. */
export interface FakeVideo {
  /** Replies of GET /videos/{id}, one after another; the last stays. `{"status": 404}` is no reply of a job but the status. */
  polls: Record<string, unknown>[]
  /** What lies at its content; a short MP4's beginning unless told. */
  content?: { status?: number; contentType?: string; bytes?: number }
}

export interface UpstreamBody {
  model?: string
  prompt?: string
  messages?: { role?: string; content?: unknown }[]
  input?: unknown
  stream?: boolean
  stream_options?: { include_usage?: boolean }
  dimensions?: number
  encoding_format?: string
}

/** The text that carries the script: the last user message's, or the first input's. */
export function promptOf(body: UpstreamBody): string {
  if (body.prompt !== undefined) return body.prompt
  if (body.messages === undefined) return textOf([body.input].flat()[0])
  return textOf(body.messages.findLast(message => message.role === 'user')?.content)
}

export function scriptOf(prompt: string): FakeScript {
  if (!prompt.startsWith('{')) return {}
  try {
    return (JSON.parse(prompt) as { fake?: FakeScript }).fake ?? {}
  } catch {
    // A prompt that only looks like JSON is echoed like any other.
    return {}
  }
}

/** The script of a call that may come with the results of tools. */
export function scriptAfterTools(script: FakeScript, { messages = [] }: UpstreamBody): FakeScript {
  const { toolCalls: _called, afterTools: reply, ...others } = script
  if (reply === undefined || !messages.some(message => message.role === 'tool')) return script
  return { ...others, reply }
}

/** Plain usage is counted in words, split at white space: exact to foretell in a test, and cheap. */
export function wordsIn(text: string): number {
  return text.match(/\S+/g)?.length ?? 0
}

export function promptWords(body: UpstreamBody): number {
  const texts = body.messages?.map(message => textOf(message.content)) ?? [body.input].flat().map(textOf)
  return texts.reduce((total, text) => total + wordsIn(text), 0)
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.flatMap(part => (part as { text?: string }).text ?? []).join('\n')
}
