// @ts-check
// Writes test/sweeps/contract/contract.json from an OpenAPI document, without its prose: `strip-contract.mjs OPENAPI.json`.
// Schemas, enums and the x-public-* lists stay: they are what a served document is held against.
import { readFileSync, writeFileSync } from 'node:fs'

const TARGET = new URL('../test/sweeps/contract/contract.json', import.meta.url)
const PROSE = new Set(['description', 'title', 'summary', 'example', 'examples'])
// Below these keys stand names chosen by the contract, which may well be called `title` or `description`.
const NAMES = new Set(['properties', 'schemas', 'paths', 'responses', 'content', 'securitySchemes'])
// Below these keys stand values: data, not schemas.
const VALUES = new Set(['default', 'enum', 'const', 'required'])

/**
 * @param {unknown} node
 * @param {boolean} namesHere whether the keys of this object are names and not keywords
 * @returns {unknown}
 */
function withoutProse(node, namesHere = false) {
  if (Array.isArray(node)) return node.map(item => withoutProse(item))
  if (node === null || typeof node !== 'object') return node
  const kept = Object.entries(node).filter(([key]) => namesHere || !isProse(key))
  return Object.fromEntries(kept.map(([key, value]) => [key, stripped(key, value, namesHere)]))
}

/**
 * @param {string} key
 * @param {unknown} value
 * @param {boolean} isName
 */
function stripped(key, value, isName) {
  if (!isName && VALUES.has(key)) return value
  return withoutProse(value, !isName && NAMES.has(key))
}

/** @param {string} key */
function isProse(key) {
  return PROSE.has(key) || (key.startsWith('x-') && !key.startsWith('x-public-'))
}

const source = process.argv[2]
if (source === undefined) {
  console.error('usage: strip-contract.mjs OPENAPI.json')
  process.exit(2)
}
const { info, ...document } = JSON.parse(readFileSync(source, 'utf8'))
writeFileSync(
  TARGET,
  `${JSON.stringify({ info: { version: info.version }, ...Object(withoutProse(document)) }, null, 1)}\n`,
)
