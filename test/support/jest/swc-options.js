// @ts-check

/** How the tests' TypeScript becomes JavaScript: in Jest's own modules and in its global hooks alike. */
export const swcOptions = /** @type {const} */ ({
  swcrc: false,
  jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
  module: { type: 'es6' },
  sourceMaps: 'inline',
})
