import { hashOf } from './hash.ts'

/**
 * A text as a unit vector: its words, and the three-letter pieces of its words, hashed to dimensions with a sign
 * (feature hashing, Weinberger et al. 2009). Texts that share words are near, words that share a stem a little; the
 * vector depends on nothing but the text.
 */
export function embeddingOf(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions)
  const features = featuresOf(text)
  for (const [feature, weight] of features) addFeature(vector, feature, weight)
  if (!vector.some(value => value !== 0)) addFeature(vector, `whole ${text}`, 1)
  return normalised(vector)
}

/** Short words say little; rising counts of one feature say less and less. */
function featuresOf(text: string): Map<string, number> {
  const weights = new Map<string, number>()
  const add = (feature: string, weight: number): unknown => weights.set(feature, (weights.get(feature) ?? 0) + weight)
  for (const [word] of text
    .normalize('NFKC')
    .toLowerCase()
    .matchAll(/[\p{L}\p{N}]+/gu)) {
    const weight = Math.min(1, word.length / 6)
    add(`word ${word}`, weight)
    for (const piece of piecesOf(word)) add(`piece ${piece}`, weight / 4)
  }
  return new Map([...weights].map(([feature, weight]) => [feature, Math.sqrt(weight)]))
}

function piecesOf(word: string): string[] {
  const padded = `<${word}>`
  return Array.from({ length: padded.length - 2 }, (_, i) => padded.slice(i, i + 3))
}

function addFeature(vector: Float32Array, feature: string, weight: number): void {
  const hash = hashOf(feature)
  const at = (hash >>> 1) % vector.length
  vector[at] = (vector[at] ?? 0) + (hash & 1 ? weight : -weight)
}

function normalised(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return vector.map(value => value / length)
}
