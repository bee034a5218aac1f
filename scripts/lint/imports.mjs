// @ts-check

/**
 * A rule that is asked about every relative import of a file, in whatever form it is written; it answers with what is
 * wrong, or with nothing.
 * @param {(context: any, file: string, specifier: string) => string | undefined} faultOf
 */
export const onImports = faultOf => ({
  /** @param {any} context */
  create(context) {
    /** @param {any} node */
    const check = node => {
      const specifier = node.source?.value
      if (typeof specifier !== 'string' || !specifier.startsWith('.')) return
      const message = faultOf(context, context.filename, specifier)
      if (message !== undefined) context.report({ node, message })
    }
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
      TSImportType: check,
    }
  },
})
