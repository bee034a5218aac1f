import { isFields, type Fields } from '../json.ts'
import { normalImages } from './images.ts'

const TEXTS = ['reasoning', 'reasoning_content', 'refusal']
/** Parts that are pictures. */
const PICTURES = new Set(['image_url', 'output_image', 'image'])

/**
 * A message, or a delta of one, with texts where OpenAI has texts: Mistral's content in parts is their text, its
 * thinking the reasoning. What is neither text nor parts is left out. Pictures are told as OpenRouter does. Fields that
 * are not known here stay.
 */
export function normalMessage(message: Fields): Fields {
  const { content, images } = message
  const isPlain = (content === undefined || content === null || typeof content === 'string') && TEXTS.every(isText)
  const withPlainTexts = isPlain ? message : withTexts(message)
  return images === undefined && withPlainTexts['images'] === undefined ? withPlainTexts : withImages(withPlainTexts)

  function isText(name: string): boolean {
    const value = message[name]
    return value === undefined || value === null || typeof value === 'string'
  }
}

function withImages({ images, ...message }: Fields): Fields {
  const normal = normalImages(images)
  return normal.length === 0 ? message : { ...message, images: normal }
}

function withTexts({ content, ...rest }: Fields): Fields {
  const normal: Fields = { ...rest }
  if (typeof content === 'string' || content === null) normal['content'] = content
  for (const name of TEXTS) {
    const value = normal[name]
    if (value === undefined || value === null || typeof value === 'string') continue
    if (Array.isArray(value)) normal[name] = textOfParts(value)
    else delete normal[name]
  }
  return Array.isArray(content) ? withParts(normal, content.filter(isFields)) : normal
}

function withParts(message: Fields, parts: Fields[]): Fields {
  const isThinking = ({ type }: Fields) => type === 'thinking' || type === 'reasoning'
  const thinking = parts.filter(isThinking)
  const refused = parts.filter(({ type }) => type === 'refusal')
  const images = parts.filter(({ type }) => typeof type === 'string' && PICTURES.has(type))
  const shown = parts.filter(part => !isThinking(part) && part['type'] !== 'refusal')
  const added = { reasoning: textOfParts(thinking), refusal: textOfParts(refused) }
  return {
    ...message,
    content: textOfParts(shown),
    ...(added.reasoning !== '' && { reasoning: textOr(message['reasoning']) + added.reasoning }),
    ...(added.refusal !== '' && { refusal: textOr(message['refusal']) + added.refusal }),
    ...(images.length > 0 && { images: [message['images'] ?? [], images].flat() }),
  }
}

/** A part holds its text under the name of its type, or as parts again. */
function textOfParts(parts: readonly unknown[]): string {
  return parts.map(part => (isFields(part) ? textOfPart(part) : textOr(part))).join('')
}

function textOfPart({ text, thinking, refusal }: Fields): string {
  const shown = text ?? thinking ?? refusal
  return Array.isArray(shown) ? shown.map(part => textOr(isFields(part) ? part['text'] : part)).join('') : textOr(shown)
}

/** Whether a message holds what is neither text nor a call of a tool. */
export const isFilled = ({ images, audio, function_call: called }: Fields): boolean =>
  isFields(audio) || isFields(called) || (Array.isArray(images) && images.length > 0)

/** All that a message says, for counting its tokens: content, reasoning, refusal, calls. */
export function textOfMessage(message: Fields): string {
  const { content, reasoning, reasoning_content, refusal, tool_calls: calls } = message
  const shown = textOr(content) + textOr(reasoning ?? reasoning_content) + textOr(refusal)
  return Array.isArray(calls) ? shown + calls.map(textOfCall).join('') : shown
}

function textOfCall(call: unknown): string {
  const called = isFields(call) && isFields(call['function']) ? call['function'] : {}
  return textOr(called['name']) + textOr(called['arguments'])
}

const textOr = (value: unknown): string => (typeof value === 'string' ? value : '')
