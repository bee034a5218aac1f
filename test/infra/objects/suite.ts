import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe } from '@jest/globals'
import type { StoreUnderTest } from './store-under-test.ts'
import { conditionalTests } from './suite-conditional.ts'
import { failureTests } from './suite-failures.ts'
import { keyTests } from './suite-keys.ts'
import { listingTests } from './suite-listing.ts'
import { multipartTests } from './suite-multipart.ts'
import { objectTests } from './suite-objects.ts'
import { signedUrlTests } from './suite-signed.ts'
import { streamTests } from './suite-streams.ts'

/** What every ObjectStore does, whatever is behind it. */
export function objectStoreSuite(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name}`, () => {
    let opened: StoreUnderTest | undefined
    beforeAll(async () => {
      opened = await open()
      await opened.store.check()
    }, 600_000)
    afterAll(() => opened?.close())

    const current = (): StoreUnderTest => {
      if (!opened) throw new Error('the store is not open')
      return opened
    }
    const suite = {
      current,
      store: () => current().store,
      key: (name = 'object') => `tests/${randomUUID()}/${name}`,
    }
    for (const define of [
      objectTests,
      keyTests,
      signedUrlTests,
      conditionalTests,
      failureTests,
      listingTests,
      multipartTests,
      streamTests,
    ]) {
      define(suite)
    }
  })
}
