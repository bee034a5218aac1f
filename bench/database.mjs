import pg from 'pg'

const types = {
  getTypeParser: (oid, format) => (oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format)),
}

/** Runs work on a connection of its own to a stack's database; rows have numbers for bigint. */
export async function withDatabase({ databaseUrl }, work) {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'ipop-bench', types })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** The goal of every load: the books agree after it, by the operator's own command. */
export async function ledgerGoal(stack, log) {
  const isClean = await stack.ipop('ledger', 'verify').then(
    () => true,
    error => log(error.message),
  )
  return { goal: 'ledger verify: clean', value: isClean ? 'clean' : 'differences', met: isClean === true }
}
