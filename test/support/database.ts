import { afterAll } from '@jest/globals'
import { openDatabase, type Database } from '../../infra/postgres/database.ts'
import { testStack } from './stack.ts'

/** The run's database, closed when the test file ends. */
export function testDatabase(): Database {
  const db = openDatabase({ url: testStack().databaseUrl, poolSize: 4, applicationName: 'ipop-test' })
  afterAll(() => db.close())
  return db
}
