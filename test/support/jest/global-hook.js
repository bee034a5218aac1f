// @ts-check
import { register } from 'node:module'

let isRegistered = false

/**
 * Runs the default export of a TypeScript module in plain Node. The modules it imports are loaded once a process:
 * what the setup keeps in a module is what the teardown finds there.
 * @param {URL} module
 * @returns {Promise<void>}
 */
export async function runGlobalHook(module) {
  if (!isRegistered) register('./typescript-hooks.js', import.meta.url)
  isRegistered = true
  const { default: hook } = await import(module.href)
  await hook()
}
