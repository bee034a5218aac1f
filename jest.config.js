// @ts-check
import { existsSync } from 'node:fs'
import { swcOptions } from './test/support/jest/swc-options.js'

/**
 * The global hook, where test/support/ has its TypeScript.
 * @param {'setup' | 'teardown'} name
 */
function globalHook(name) {
  const isWritten = existsSync(new URL(`test/support/global-${name}.ts`, import.meta.url))
  return isWritten ? `<rootDir>/test/support/jest/global-${name}.js` : null
}

/** @type {import('jest').Config} */
export default {
  globalSetup: globalHook('setup'),
  globalTeardown: globalHook('teardown'),
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // Run by `npm run test:clients`.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/clients/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { ...swcOptions }] },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.data/'],
  // For a hang alone: ten times what a test takes on a loaded machine.
  testTimeout: 300_000,
  maxWorkers: 2,
  reporters: ['default', '<rootDir>/test/support/counting-reporter.js'],
}
