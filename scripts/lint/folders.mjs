// @ts-check
// No loops of folders: what two folders need of each other moves below both.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { onImports } from './imports.mjs'

const ROOTS = ['api', 'domain', 'workflows', 'activities', 'workers', 'cli', 'infra', 'stack', 'sandbox']
const SPECIFIER = /(?:\bfrom|\bimport|\bimport\()\s*['"](\.[^'"]+)['"]/g

/** @type {Map<string, Map<string, Set<string>>>} */
const graphs = new Map()

/**
 * The folders that each folder's files import, by its path from the project's root; read once a run.
 * @param {string} project
 */
function graphOf(project) {
  const known = graphs.get(project)
  if (known !== undefined) return known
  /** @type {Map<string, Set<string>>} */
  const graph = new Map()
  for (const file of ROOTS.flatMap(root => sourcesIn(project, root))) {
    const folder = dirname(file)
    const targets = graph.get(folder) ?? new Set()
    graph.set(folder, targets)
    for (const [, specifier = ''] of readFileSync(join(project, file), 'utf8').matchAll(SPECIFIER)) {
      targets.add(dirname(join(folder, specifier)))
    }
  }
  graphs.set(project, graph)
  return graph
}

/**
 * @param {string} project
 * @param {string} root
 * @returns {string[]}
 */
function sourcesIn(project, root) {
  try {
    const names = /** @type {string[]} */ (readdirSync(join(project, root), { recursive: true }))
    return names.filter(name => name.endsWith('.ts')).map(name => join(root, name))
  } catch {
    return []
  }
}

/**
 * The way from a folder to another by imports, both named; undefined where there is none.
 * @param {Map<string, Set<string>>} graph
 * @param {string} from
 * @param {string} to
 */
function wayBetween(graph, from, to) {
  const ways = [[from]]
  const seen = new Set([from])
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    const last = way.at(-1) ?? ''
    if (last === to) return way
    for (const next of graph.get(last) ?? []) {
      if (seen.has(next)) continue
      seen.add(next)
      ways.push([...way, next])
    }
  }
  return undefined
}

export const noFolderLoops = onImports((context, file, specifier) => {
  const folder = relative(context.cwd, dirname(file))
  const target = relative(context.cwd, dirname(join(dirname(file), specifier)))
  if (folder === target) return undefined
  const way = wayBetween(graphOf(context.cwd), target, folder)
  return way && `A loop of folders: ${[folder, ...way].join(' -> ')}. Move what both need below both.`
})
