// @ts-check
// Rules that oxlint lacks.
import { areas } from './areas.mjs'
import { noFolderLoops } from './folders.mjs'

const CLOCK = 'Reads the clock. Rules and schemas are run by workflows: take the time as an argument.'

/** `new Date()` and `Date()` without arguments read the clock; with arguments they are pure. */
const noClock = {
  /** @param {any} context */
  create(context) {
    /** @param {any} node */
    const check = node => {
      const isDate = node.callee.type === 'Identifier' && node.callee.name === 'Date'
      const isPure = node.type === 'NewExpression' && node.arguments.length > 0
      if (isDate && !isPure) context.report({ node, message: CLOCK })
    }
    return { NewExpression: check, CallExpression: check }
  },
}

const RUNS =
  "A run writes in its own transaction alone, by domain/durable/jobs/run-transaction.ts: it holds the job's row."
const UNFENCED = new Set(['inTransaction', 'createSharedTransaction'])

/** What steps of jobs write goes through the transaction of their run: no other is opened, no statement sent outside. */
const runTransactions = {
  /** @param {any} context */
  create(context) {
    return {
      /** @param {any} node */
      ImportSpecifier: node => {
        if (UNFENCED.has(node.imported.name)) context.report({ node, message: RUNS })
      },
      /** @param {any} node */
      ExportSpecifier: node => {
        if (UNFENCED.has(node.local.name)) context.report({ node, message: RUNS })
      },
      /** @param {any} node */
      CallExpression: node => {
        const { callee } = node
        if (callee.type === 'MemberExpression' && callee.property.name === 'query') {
          context.report({ node, message: RUNS })
        }
      },
    }
  },
}

const STEPS = 'Activities run the steps of jobs: domain/**/*-run.ts, *-end.ts, *-validation.ts, or a retention.'
const STEP_FILE = /\/(domain\/durable\/jobs\/.*|.*-(run|end|validation)|retention|errors|.*\.rules)\.ts$/

/** Whatever activities call is held to the rule above. */
const stepsAlone = {
  /** @param {any} context */
  create(context) {
    return {
      /** @param {any} node */
      ImportDeclaration: node => {
        const isDomain = /\/domain\//.test(node.source.value)
        if (isDomain && node.importKind !== 'type' && !STEP_FILE.test(node.source.value)) {
          const values = node.specifiers.filter((/** @type {any} */ one) => one.importKind !== 'type')
          if (values.length > 0) context.report({ node, message: STEPS })
        }
      },
    }
  },
}

export default {
  meta: { name: 'local' },
  rules: {
    'no-clock': noClock,
    'run-transactions': runTransactions,
    'steps-alone': stepsAlone,
    areas,
    'no-folder-loops': noFolderLoops,
  },
}
