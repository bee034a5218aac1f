// @ts-check
// Who of domain may import whom: an area imports itself and those below it.
import { dirname, join, relative } from 'node:path'
import { onImports } from './imports.mjs'

const GROUND = ['core', 'durable', 'money', 'tenancy']
const PRODUCT = [...GROUND, 'inference']
const SIDE_BY_SIDE = ['work', 'retrieval', 'media', 'platform', 'data', 'fleet']

/**
 * The areas that each area imports. Those of the same height do not import each other: what two of them share moves down.
 * @type {Record<string, string[]>}
 */
const AREAS = {
  core: [],
  durable: ['core'],
  money: ['core', 'durable'],
  tenancy: ['core', 'durable', 'money'],
  inference: GROUND,
  ...Object.fromEntries(SIDE_BY_SIDE.map(name => [name, PRODUCT])),
  admin: [...PRODUCT, ...SIDE_BY_SIDE],
}

const DOMAIN = /^domain\/([^/]+)\//

/**
 * What is wrong with an import of one file by another, both as paths from the project's root.
 * @param {string} file
 * @param {string} imported
 */
function faultOf(file, imported) {
  const from = DOMAIN.exec(file)?.[1]
  const to = DOMAIN.exec(imported)?.[1]
  if (from === undefined || to === undefined || from === to) return undefined
  const below = AREAS[from]
  if (below === undefined)
    return `domain/${from} is no area: name it in scripts/lint/areas.mjs, or move the file into one.`
  if (below.includes(to)) return undefined
  return `domain/${from} may import ${below.length === 0 ? 'no other area' : below.join(', ')}, and not ${to} (scripts/lint/areas.mjs).`
}

export const areas = onImports((context, file, specifier) => {
  const imported = join(dirname(file), specifier)
  return faultOf(relative(context.cwd, file), relative(context.cwd, imported))
})
