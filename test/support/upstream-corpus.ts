import { readdirSync, readFileSync } from 'node:fs'

type Fields = Record<string, any>

/** A behaviour of a provider, streamed and not, and what it is in its normal form: test/fixtures/upstreams. */
export interface Quirk {
  source: string
  /** The format it is told in; OpenAI's chat completions unless told. */
  wire?: 'anthropic'
  /** The data of its events, which Anthropic's are named by: a text stands for itself, without a name. */
  stream: (Fields | string)[]
  /** Whether `[DONE]` comes. */
  done: boolean
  reply: Fields
  expected: {
    content: string
    reasoning: string
    refusal: string
    calls: { name: string; arguments: string }[]
    finish: string
    /** Null where there is none to be believed. */
    usage: Fields | null
    /** What seals its thinking, in order: signatures, and data that is not to be read. */
    seals?: string[]
    failure?: true
  }
}

const FOLDER = new URL('../fixtures/upstreams/', import.meta.url)

/** All behaviours, by their names. */
export const QUIRKS: [string, Quirk][] = readdirSync(FOLDER).map(file => [
  file.replace('.json', ''),
  JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Quirk,
])

export const SOUND_QUIRKS = QUIRKS.filter(([, { expected }]) => expected.failure !== true)
export const BROKEN_QUIRKS = QUIRKS.filter(([, { expected }]) => expected.failure === true)

/** A model for each broken one: its route's breaker is shared by all who ask it. */
export const modelOfQuirk = (name: string): string => `test/quirk-${name}`
/** A model whose upstream speaks the quirk's format. */
export const modelOfWire = ({ wire }: Pick<Quirk, 'wire'>): string =>
  wire === 'anthropic' ? 'test/messages' : 'test/plain'
/** For turns of which nothing comes. */
export const EMPTY_TURNS = modelOfQuirk('empty-turn')

/** JSON in ASCII, as many servers write it: so halves of letters survive. */
export const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[^\x20-\x7e]/g, letter => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** The stream as it travels. */
export const streamText = ({ wire, stream, done }: Pick<Quirk, 'wire' | 'stream' | 'done'>): string =>
  [...stream, ...(done ? ['[DONE]'] : [])].map(data => eventText(data, wire)).join('')

function eventText(data: Fields | string, wire: Quirk['wire']): string {
  if (typeof data === 'string') return `data: ${data}\n\n`
  const name = wire === 'anthropic' ? `event: ${data['type']}\n` : ''
  return `${name}data: ${asciiJson(data)}\n\n`
}
