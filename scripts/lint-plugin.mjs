// @ts-check
// One rule that oxlint lacks: `new Date()` and `Date()` without arguments read the clock; with arguments they are pure.

const MESSAGE = 'Reads the clock. Rules and schemas are run by workflows: take the time as an argument.'

const noClock = {
  /** @param {any} context */
  create(context) {
    /** @param {any} node */
    const check = node => {
      const isDate = node.callee.type === 'Identifier' && node.callee.name === 'Date'
      const isPure = node.type === 'NewExpression' && node.arguments.length > 0
      if (isDate && !isPure) context.report({ node, message: MESSAGE })
    }
    return { NewExpression: check, CallExpression: check }
  },
}

export default { meta: { name: 'local' }, rules: { 'no-clock': noClock } }
