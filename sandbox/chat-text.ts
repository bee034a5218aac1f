import type { ChatCall, Message } from './chat-request.ts'
import type { Reading } from './reading.ts'

const MAX_FILLER_WORDS = 4000
const FILLER = 'This sentence is filler that the sandbox writes because the request asked for a longer text.'

/** The text parts of a message. */
function textOf({ content }: Message): string {
  if (typeof content === 'string') return content
  return (content ?? []).flatMap(part => part.text ?? []).join('\n')
}

export function lastUserText(messages: readonly Message[]): string {
  const last = messages.findLast(message => message.role === 'user')
  return last ? textOf(last) : ''
}

/** A plain answer: what the request was read as, by whom, and what came with it. */
export function sandboxText(call: ChatCall, reading: Reading): string {
  const sentences = [
    `Sandbox: this reads as a ${reading.topic} message, ${reading.sentiment} in tone, of ${reading.urgency} urgency.`,
    `No real model was called; the request asked for ${call.model}.`,
    reading.words > 0
      ? `You wrote ${counted(reading.words, 'word')}: "${reading.digest}"`
      : 'There is no text from you.',
    ...toolSentences(call.messages),
    ...partSentences(call.messages),
  ]
  return withWords(sentences.join(' '), wordsAskedFor(reading.text))
}

function toolSentences(messages: readonly Message[]): string[] {
  const lastUser = messages.findLastIndex(message => message.role === 'user')
  const results = messages.slice(lastUser + 1).filter(message => message.role === 'tool')
  return results.map(result => {
    const text = textOf(result)
    const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text
    return `The tool call ${result.tool_call_id ?? ''} returned: ${shown}`
  })
}

const PART_NAMES: Readonly<Record<string, string>> = { image_url: 'image', input_audio: 'recording', file: 'file' }

function partSentences(messages: readonly Message[]): string[] {
  const parts = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []))
  return Object.entries(PART_NAMES).flatMap(([type, name]) => {
    const count = parts.filter(part => part.type === type).length
    return count === 0 ? [] : [`You sent ${counted(count, name)}; the sandbox cannot look inside.`]
  })
}

/** `write 300 words` gets about as many: something to stream, or to cancel. */
function wordsAskedFor(text: string): number {
  const match = /\b(\d{1,5}) words\b/i.exec(text)
  return Math.min(Number(match?.[1] ?? 0), MAX_FILLER_WORDS)
}

function withWords(text: string, atLeast: number): string {
  const have = text.split(' ')
  const filler = FILLER.split(' ')
  const missing = Array.from({ length: Math.max(0, atLeast - have.length) }, (_, i) => filler[i % filler.length])
  return [...have, ...missing].join(' ')
}

function counted(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? '' : 's'}`
}
