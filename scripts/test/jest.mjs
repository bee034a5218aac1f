// @ts-check
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const JEST = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js']

/**
 * Runs Jest; gives its exit code, 1 where a signal ended it.
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env]
 * @returns {Promise<number>}
 */
export async function runJest(args, env = {}) {
  const child = spawn(process.execPath, [...JEST, ...args], { stdio: 'inherit', env: { ...process.env, ...env } })
  const [code] = await once(child, 'exit')
  return code ?? 1
}
