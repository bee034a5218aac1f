import { readdirSync, readFileSync } from 'node:fs'

/** A behaviour of a provider whose chat is to hold a picture, and what is told of it: test/fixtures/images. */
export interface ImageQuirk {
  source: string
  reply: Record<string, unknown>
  expected: {
    /** The picture; undefined where there is none to be found. */
    url?: string
    cost_usd: number
    status?: number
    code?: string
    /** Whether it counts as a failure of the route. */
    breaks?: true
  }
}

const FOLDER = new URL('../fixtures/images/', import.meta.url)

/** All behaviours, by their names. */
export const IMAGE_QUIRKS: [string, ImageQuirk][] = readdirSync(FOLDER).map(file => [
  file.replace('.json', ''),
  JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as ImageQuirk,
])

/** Those that break a route have a model of their own: breakers are shared. */
export const drawingModelOf = (name: string, { expected }: ImageQuirk): string =>
  expected.breaks === true ? `test/draw-${name}` : 'test/draw'
