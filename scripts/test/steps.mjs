// @ts-check
import { availableParallelism } from 'node:os'

const cores = availableParallelism()

/**
 * The projects of jest.config.js, and how many of their files run at once. Features wait for the stack more than they
 * compute, and share it.
 * @type {Readonly<Record<string, { workers: number }>>}
 */
export const STEPS = {
  rules: { workers: Math.max(2, cores) },
  features: { workers: Math.max(2, Math.min(4, cores)) },
  alone: { workers: 1 },
  chaos: { workers: 1 },
  clients: { workers: 1 },
}

/** What `npm test` runs, in this order: what fails soonest first. */
export const USUAL = ['rules', 'features', 'alone']

/** How long a file of these steps may take on a quiet machine: a longer one is to be divided, or to wait less. */
export const LONGEST_FILE = { steps: ['features'], seconds: 240 }
