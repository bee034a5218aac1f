import { afterAll } from '@jest/globals'
import { Client, Connection } from '@temporalio/client'
import { testStack } from './stack.ts'

/** What an operator's tools speak to Temporal with; closed when the test file ends. */
export function temporalClient(): Client {
  const connection = Connection.lazy({ address: testStack().temporalAddress })
  afterAll(() => connection.close())
  return new Client({ connection })
}
