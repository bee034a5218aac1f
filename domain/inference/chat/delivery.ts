import type { ChatPart } from './chat-stream.ts'

/** A point may be part of a number: only what follows shows that a sentence has ended. */
const SENTENCE_END = /[.!?…]\s|[。！？\n]/
/** A reply without a sentence, such as code, is not held for longer than so much of it. */
const LONGEST_HELD_CHARACTERS = 400

/** Goes on to the end when its reader leaves: the call completes, and is billed, as if it had been read. */
export async function* toTheEnd<Part>(
  parts: AsyncGenerator<Part, void>,
  atEnd?: () => void,
): AsyncGenerator<Part, void> {
  try {
    let next = await parts.next()
    try {
      for (; next.done !== true; next = await parts.next()) yield next.value
    } finally {
      while (next.done !== true) next = await parts.next()
    }
  } finally {
    atEnd?.()
  }
}

/** Holds the parts back until a first sentence is whole, and lets it go at once; what follows is passed on as it comes. */
export async function* firstSentenceWhole(parts: AsyncIterable<ChatPart[]>): AsyncGenerator<ChatPart[], void> {
  let held: ChatPart[] | undefined = []
  let text = ''
  for await (const together of parts) {
    if (held === undefined) {
      yield together
      continue
    }
    held.push(...together)
    const added = together.map(textOf)
    text += added.join('')
    if (!added.includes(undefined) && !SENTENCE_END.test(text) && text.length < LONGEST_HELD_CHARACTERS) continue
    yield held
    held = undefined
  }
  if (held !== undefined && held.length > 0) yield held
}

/** The text a chunk adds; undefined for a part of another kind, which is never waited with. */
function textOf(part: ChatPart): string | undefined {
  if (part.kind === 'end') return undefined
  const [choice] = part.chunk.choices as { delta?: { content?: unknown; tool_calls?: unknown } }[]
  if (choice?.delta?.tool_calls !== undefined) return undefined
  return typeof choice?.delta?.content === 'string' ? choice.delta.content : ''
}
