// @ts-check
import { existsSync } from 'node:fs'
import { swcOptions } from './test/support/jest/swc-options.js'

/** For a hang alone: ten times what a test takes on a loaded machine. */
const HANGS_AFTER_MS = 300_000
/** What is heavy on disk or processor, or must not be disturbed: one file at a time, with nothing beside it. */
const ALONE = ['file-transfers', 'neighbours'].map(name => `test/areas/work/${name}.test.ts`)
/** How documents are compared, which needs no stack. */
const CONTRACT = 'test/sweeps/contract/'

/**
 * The tests that run in one way: `npm test` runs rules, features and alone, one after another (scripts/test/steps.mjs).
 * @param {string} name
 * @param {string[]} files patterns, from the root
 * @param {{ but?: string[], stack?: boolean }} [options] `but`: paths of other projects; `stack`: over the shared stack
 * @returns {NonNullable<import('jest').Config['projects']>[number]}
 */
function project(name, files, { but = [], stack = false } = {}) {
  return {
    displayName: name,
    testEnvironment: 'node',
    roots: ['<rootDir>/test'],
    testMatch: files.map(path => `<rootDir>/${path}`),
    testPathIgnorePatterns: ['/node_modules/', ...but.map(path => `<rootDir>/${path}`)],
    extensionsToTreatAsEsm: ['.ts'],
    transform: { '^.+\\.ts$': ['@swc/jest', { ...swcOptions }] },
    // Of hundreds of files, which every test file would load anew: those of the build are few.
    moduleNameMapper: {
      '^typebox$': '<rootDir>/dist/vendor/typebox.js',
      '^typebox/(\\w+)$': '<rootDir>/dist/vendor/typebox-$1.js',
    },
    modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.data/'],
    ...(stack && { globalSetup: globalHook('setup'), globalTeardown: globalHook('teardown') }),
  }
}

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
  projects: [
    // What no other names, so that no file is forgotten.
    project('rules', ['test/**/*.test.ts'], {
      but: ['test/(areas|durable|cli|stack|infra|chaos|clients)/', 'test/sweeps/(?!contract/)'],
    }),
    project('features', ['test/{areas,sweeps,durable,cli}/**/*.test.ts', 'test/infra/postgres/*.test.ts'], {
      but: [...ALONE, CONTRACT],
      stack: true,
    }),
    project('alone', ['test/stack/**/*.test.ts', 'test/infra/objects/**/*.test.ts', ...ALONE], { stack: true }),
    project('chaos', ['test/chaos/**/*.test.ts']),
    project('clients', ['test/clients/**/*.test.ts']),
  ],
  testTimeout: HANGS_AFTER_MS,
  reporters: ['default', '<rootDir>/test/support/jest/progress-reporter.js'],
}
