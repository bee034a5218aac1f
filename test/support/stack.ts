/** Where the stack of this test run is; made by global-setup.ts, read by every test file. */
export interface TestStack {
  apiUrl: string
  metricsUrl: string
  databaseUrl: string
  temporalAddress: string
  temporalUiUrl: string
  upstreamUrl: string
  dataDir: string
  catalogFile: string
  signingKey: string
  secretsKey: string
}

const VARIABLE = 'IPOP_TEST_STACK'

export function publishStack(stack: TestStack): void {
  process.env[VARIABLE] = JSON.stringify(stack)
}

export const isStackPublished = (): boolean => process.env[VARIABLE] !== undefined

export function testStack(): TestStack {
  const text = process.env[VARIABLE]
  if (text === undefined) throw new Error('the test stack is not running: run the tests with `npm test`')
  return JSON.parse(text) as TestStack
}
