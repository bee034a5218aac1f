// @ts-check
// Node's module hooks for .ts files. Jest runs its global hooks in plain Node, which does not read TypeScript before 22.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { transform } from '@swc/core'
import { swcOptions } from './swc-options.js'

/** @type {import('node:module').LoadHook} */
export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context)
  const filename = fileURLToPath(url)
  const { code } = await transform(await readFile(filename, 'utf8'), { ...swcOptions, filename })
  return { format: 'module', source: code, shortCircuit: true }
}
