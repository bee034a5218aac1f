import { failureInBody } from '../../infra/upstreams/failures.ts'
import { UpstreamFailure } from '../../infra/upstreams/upstream.ts'
import type { TokenUsage } from '../calls/call.rules.ts'
import { closedChoices, textOfChoices, type ReplyHead } from './reply.rules.ts'
import { parseUsage } from './usage.rules.ts'

type Fields = Record<string, unknown>

/** What a chunk of an upstream's stream holds. */
export interface Chunk {
  /** In their closed form. */
  readonly choices: Fields[]
  /** The choices as JSON, where that is known without writing it. */
  readonly choicesJson: string | undefined
  /** As `textOfChoices` has it. */
  readonly text: string
  readonly usage: TokenUsage | undefined
}

/** The upstream's own usage chunk has no choice, and is not passed on. */
export const isUsageAlone = (chunk: Chunk): boolean => chunk.choicesJson === undefined && chunk.choices.length === 0

/** The closed form of a stream's chunk. */
export const chunkView = (head: ReplyHead, { choices }: Pick<Chunk, 'choices'>) => ({
  ...head,
  object: 'chat.completion.chunk',
  choices,
})

/** Writes the closed form of a stream's chunks: what they have in common is written once. */
export function chunkWriter(head: ReplyHead): (chunk: Chunk) => string {
  const common = JSON.stringify({ ...head, object: 'chat.completion.chunk' }).slice(0, -1)
  return chunk => `${common},"choices":${chunk.choicesJson ?? JSON.stringify(chunk.choices)}}`
}

/**
 * Reads the chunks of one stream, each given as its JSON. Most differ from the one before in their text alone: such a
 * one is not parsed. Errors: UpstreamFailure where it is no chunk, or holds an error.
 */
export function createChunkReader(): (data: string) => Chunk {
  let shape: TextShape | undefined
  let shapesLeft = 4
  return data => {
    const known = shape === undefined ? undefined : chunkOfShape(shape, data)
    if (known !== undefined) return known
    const body = parseBody(data)
    const chunk = chunkOf(body)
    // A stream whose chunks are never alike is not measured again and again.
    if (shapesLeft > 0 && isContentAlone(chunk)) {
      shapesLeft -= 1
      shape = shapeOf(data, chunk)
    }
    return chunk
  }
}

/** Whether its text is the content of its only choice: of reasoning or of a tool's arguments there is no shape. */
function isContentAlone({ choices: [choice, ...others], text }: Chunk): boolean {
  return text !== '' && others.length === 0 && (choice?.['delta'] as Fields | undefined)?.['content'] === text
}

function parseBody(data: string): Fields {
  let body: unknown
  try {
    body = JSON.parse(data)
  } catch {
    throw new UpstreamFailure('unavailable', 'a chunk is not JSON')
  }
  if (typeof body !== 'object' || body === null) throw new UpstreamFailure('unavailable', 'a chunk is not an object')
  const failure = failureInBody(body as Fields)
  if (failure !== undefined) throw failure
  return body as Fields
}

const chunkOf = (body: Fields): Chunk => ({
  choices: closedChoices(body, 'delta'),
  choicesJson: undefined,
  text: textOfChoices(body, 'delta'),
  usage: parseUsage(body['usage']),
})

/** What chunks of one choice have in common when only the text of their delta differs: what stands around that text. */
interface TextShape {
  before: string
  after: string
  /** The same in the closed choices. */
  choicesBefore: string
  choicesAfter: string
  choice: Fields & { delta: Fields }
  usage: TokenUsage | undefined
}

/** Stands for the text while a shape is found: letters that JSON writes as they are. */
const STAND_IN = 'the text of this delta'
const CONTENT = /"content":\s*"((?:[^"\\]|\\.)*)"/d
/** What may stand between the quotes of a JSON string (RFC 8259 section 7). */
const STRING_BODY = /^(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*$/

/**
 * The shape of a chunk, where its text is the content of its only choice and nothing else. That the place is the right
 * one is proved: with other words there, the chunk's text is exactly these words.
 */
function shapeOf(data: string, chunk: Chunk): TextShape | undefined {
  const [start, end] = CONTENT.exec(data)?.indices?.[1] ?? []
  if (start === undefined || end === undefined || chunk.text === STAND_IN) return undefined
  const [before, after] = [data.slice(0, start), data.slice(end)]
  const { choices, text, usage } = chunkOf(JSON.parse(before + STAND_IN + after) as Fields)
  const [choice, ...others] = choices as TextShape['choice'][]
  if (choice === undefined || others.length > 0 || text !== STAND_IN || choice.delta['content'] !== text)
    return undefined
  const [choicesBefore, choicesAfter, ...more] = JSON.stringify(choices).split(STAND_IN)
  if (choicesBefore === undefined || choicesAfter === undefined || more.length > 0) return undefined
  return { before, after, choicesBefore, choicesAfter, choice, usage }
}

function chunkOfShape(shape: TextShape, data: string): Chunk | undefined {
  const { before, after } = shape
  if (data.length < before.length + after.length || !data.startsWith(before) || !data.endsWith(after)) return undefined
  const written = data.slice(before.length, data.length - after.length)
  return STRING_BODY.test(written) ? new ShapedChunk(shape, written) : undefined
}

class ShapedChunk implements Chunk {
  readonly text: string
  private readonly shape: TextShape
  private readonly written: string

  /** `written`: the text as it stands in JSON. */
  constructor(shape: TextShape, written: string) {
    this.shape = shape
    this.written = written
    this.text = written.includes('\\') ? (JSON.parse(`"${written}"`) as string) : written
  }

  get choices(): Fields[] {
    const { choice } = this.shape
    return [{ ...choice, delta: { ...choice.delta, content: this.text } }]
  }

  get choicesJson(): string {
    return this.shape.choicesBefore + this.written + this.shape.choicesAfter
  }

  get usage(): TokenUsage | undefined {
    return this.shape.usage
  }
}
