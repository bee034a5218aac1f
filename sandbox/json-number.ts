import Schema from 'typebox/schema'
import type { Keywords, Position } from './json-schema.ts'

const RATIO_NAME = /confidence|score|probability|likelihood|ratio/i

/** A number within the bounds: a small one, a ratio for what is named like one, another for each item of an array. */
export function numberFor(node: Keywords, position: Position): number {
  const isInteger = [node.type ?? 'number'].flat().includes('integer')
  const bounds = numericKeywords(node, isInteger)
  const candidates = numberCandidates(node, position, isInteger)
  return candidates.find(value => Schema.Check(bounds, value)) ?? node.minimum ?? node.maximum ?? 0
}

function numericKeywords(node: Keywords, isInteger: boolean): object {
  const names = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'] as const
  const given = names.filter(name => node[name] !== undefined).map(name => [name, node[name]])
  return { type: isInteger ? 'integer' : 'number', ...(Object.fromEntries(given) as object) }
}

function numberCandidates(node: Keywords, { name, index }: Position, isInteger: boolean): number[] {
  const low = Math.max(node.minimum ?? -Infinity, node.exclusiveMinimum ?? -Infinity)
  const high = Math.min(node.maximum ?? Infinity, node.exclusiveMaximum ?? Infinity)
  const step = node.multipleOf ?? 1
  const usual = RATIO_NAME.test(name) && !isInteger ? 0.9 / (index + 1) : 1 + index
  const from = Number.isFinite(low) ? low : Number.isFinite(high) ? high - 100 * step : 0
  const first = Math.ceil(from / step) * step
  const steps = Array.from({ length: 128 }, (_, i) => first + step * (i + index))
  const between = Number.isFinite(high - low) ? low + (high - low) / (index + 2) : from + 0.5
  return [...(node.multipleOf === undefined ? [usual] : []), ...steps, between, low, high, 0]
}
