import { failureInBody } from '../failures.ts'
import { isFields, type Fields } from '../json.ts'
import { UpstreamFailure } from '../upstream.ts'
import { indexOf, StreamedChoice } from './choice.ts'
import type { Chunk, UpstreamUsage } from '../chunk.ts'
import { nothingCame } from './finish.ts'
import { isSuspect } from '../text.ts'
import { laterUsage, usageIn } from './usage.ts'

/**
 * Reads the chunks of one stream. Most differ from the one before in their text alone: such a one is not parsed.
 */
export class ChunkReader {
  private readonly choices = new Map<number, StreamedChoice>()
  private usage: UpstreamUsage | undefined
  private shape: TextShape | undefined
  private shapesLeft = 4
  private hasBegunOutput = false
  private readonly asked: number

  /** `asked`: how many choices there are to be. */
  constructor(asked = 1) {
    this.asked = asked
  }

  /** A chunk, given as its JSON; undefined where it tells nothing. Errors: UpstreamFailure where it is no chunk, or holds an error. */
  read(data: string): Chunk | undefined {
    const known = this.shape === undefined ? undefined : chunkOfShape(this.shape, data)
    if (known !== undefined) return known
    const chunk = this.add(parseBody(data), isSuspect(data))
    // A stream whose chunks are never alike is not measured again and again.
    if (chunk !== undefined && this.shapesLeft > 0 && isContentAlone(chunk)) {
      this.shapesLeft -= 1
      this.shape = shapeOf(data, chunk, this.choices)
    }
    return chunk
  }

  /** The same of a chunk that is parsed already. */
  add(body: Fields, suspect: boolean): Chunk | undefined {
    const failure = failureInBody(body)
    if (failure !== undefined) throw failure
    const emitted = listOf(body['choices']).flatMap(
      (raw, position) => this.choiceOf(raw, position).add(raw, suspect) ?? [],
    )
    const later = usageIn(body)
    if (later !== undefined) this.usage = laterUsage(this.usage, later)
    return chunkOf(emitted, later === undefined ? undefined : this.usage)
  }

  /**
   * The stream has said that it is over. Gives the ends of choices that were not told.
   * Errors: UpstreamFailure where nothing came of any.
   */
  end(): Chunk | undefined {
    if (!this.hasOutput) throw nothingCame()
    return chunkOf(
      [...this.choices.values()].flatMap(choice => choice.end() ?? []),
      undefined,
    )
  }

  /** Whether all choices that were asked for have ended. */
  get hasEnded(): boolean {
    const choices = [...this.choices.values()]
    return choices.length >= this.asked && choices.every(choice => choice.hasFinished)
  }

  /** Whether nothing is missing: every end is told, and the usage. */
  get isComplete(): boolean {
    return this.usage !== undefined && this.hasEnded
  }

  /** Whether anything was said: a text, a call, a picture, or that there is none. */
  get hasOutput(): boolean {
    this.hasBegunOutput ||= [...this.choices.values()].some(({ hasOutput, hasFinished }) => hasOutput || hasFinished)
    return this.hasBegunOutput
  }

  private choiceOf(raw: Fields, position: number): StreamedChoice {
    const index = indexOf(raw, position)
    const known = this.choices.get(index) ?? new StreamedChoice(index)
    this.choices.set(index, known)
    return known
  }
}

const listOf = (choices: unknown): Fields[] => (Array.isArray(choices) ? choices.filter(isFields) : [])

function chunkOf(emitted: { choice: Fields; text: string }[], usage: UpstreamUsage | undefined): Chunk | undefined {
  if (emitted.length === 0 && usage === undefined) return undefined
  const choices = emitted.map(({ choice }) => choice)
  return { choices, choicesJson: undefined, text: emitted.map(({ text }) => text).join(''), usage }
}

function parseBody(data: string): Fields {
  let body: unknown
  try {
    body = JSON.parse(data)
  } catch {
    throw new UpstreamFailure('unavailable', 'a chunk is not JSON')
  }
  if (!isFields(body)) throw new UpstreamFailure('unavailable', 'a chunk is not an object')
  return body
}

/** Whether its text is the content of its only choice: of reasoning or of a tool's arguments there is no shape. */
function isContentAlone({ choices: [choice, ...others], text, usage }: Chunk): boolean {
  const { delta, finish_reason: finish } = choice ?? {}
  const isAlone = text !== '' && others.length === 0 && usage === undefined && finish === null
  return isAlone && (delta as Fields)['content'] === text
}

/** What chunks of one choice have in common when only the text of their delta differs: what stands around that text. */
interface TextShape {
  before: string
  after: string
  /** The same in the choices as they are told. */
  choicesBefore: string
  choicesAfter: string
  choice: Fields & { delta: Fields }
  streamed: StreamedChoice
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
function shapeOf(data: string, chunk: Chunk, streamed: ReadonlyMap<number, StreamedChoice>): TextShape | undefined {
  const [start, end] = CONTENT.exec(data)?.indices?.[1] ?? []
  if (start === undefined || end === undefined || chunk.text === STAND_IN) return undefined
  const [before, after] = [data.slice(0, start), data.slice(end)]
  const choice = onlyChoice(parseBody(before + STAND_IN + after))
  const own = streamed.get(choice?.['index'] as number)
  if (choice === undefined || own === undefined || choice.delta['content'] !== STAND_IN) return undefined
  const [choicesBefore, choicesAfter, ...more] = JSON.stringify([choice]).split(STAND_IN)
  if (choicesBefore === undefined || choicesAfter === undefined || more.length > 0) return undefined
  return { before, after, choicesBefore, choicesAfter, choice, streamed: own }
}

/** What a reader in the middle of a stream would tell of a chunk with one choice that says its content alone. */
function onlyChoice(body: Fields): TextShape['choice'] | undefined {
  const [raw, ...others] = listOf(body['choices'])
  if (raw === undefined || others.length > 0) return undefined
  const emitted = new StreamedChoice(indexOf(raw, 0), true).add(raw, false)
  return emitted?.text === STAND_IN ? (emitted.choice as TextShape['choice']) : undefined
}

function chunkOfShape(shape: TextShape, data: string): Chunk | undefined {
  const { before, after, streamed } = shape
  if (data.length < before.length + after.length || !data.startsWith(before) || !data.endsWith(after)) return undefined
  // Half a letter is joined where chunks are parsed.
  if (streamed.isHolding) return undefined
  const written = data.slice(before.length, data.length - after.length)
  if (!STRING_BODY.test(written) || isSuspect(written)) return undefined
  if (written !== '') streamed.hasOutput = true
  return new ShapedChunk(shape, written)
}

class ShapedChunk implements Chunk {
  readonly text: string
  readonly usage = undefined
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
}
