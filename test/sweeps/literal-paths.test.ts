import { expect, test } from '@jest/globals'
import { testDatabase } from '../support/database.ts'
import { rawExchange, repliesIn } from '../support/raw-request.ts'
import { servedDocument } from '../support/served-document.ts'
import { testStack } from '../support/stack.ts'
import { newTenant } from '../support/tenants.ts'

const db = testDatabase()
const patterns = (await servedDocument()).operations.filter(({ path }) => path.includes('{'))

test('there are operations with parameters', () => expect(patterns.length).toBeGreaterThan(15))

test.each(patterns.map(({ method, path }) => [method, path] as const))(
  '%s %s, sent with its braces, is a request for a thing of that name',
  async (method, path) => {
    const { secret } = await newTenant(db, { inProject: true })
    const statusOf = async (target: string) => {
      const head = `${method} /v1${target} HTTP/1.1\r\nhost: x\r\nx-api-key: ${secret}\r\nconnection: close\r\n`
      const body = `content-type: application/json\r\ncontent-length: 2\r\n\r\n{}`
      const [reply] = repliesIn(await rawExchange(head + body, testStack().apiUrl))
      return reply?.status
    }
    const status = await statusOf(path)
    expect([400, 404]).toContain(status)
    expect(await statusOf(path.replaceAll('{', '%7B').replaceAll('}', '%7D'))).toBe(status)
  },
)
