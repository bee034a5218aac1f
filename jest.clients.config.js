// @ts-check
import everything from './jest.config.js'

/** Tests with real clients: they install them and start a stack of their own, so they run apart from the others. */
/** @type {import('jest').Config} */
export default {
  ...everything,
  globalSetup: null,
  globalTeardown: null,
  testMatch: ['<rootDir>/test/clients/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 300_000,
  maxWorkers: 1,
}
