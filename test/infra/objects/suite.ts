import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe } from '@jest/globals'
import type { StoreUnderTest, Suite } from './store-under-test.ts'
import { conditionalTests } from './suite-conditional.ts'
import { failureTests } from './suite-failures.ts'
import { keyTests } from './suite-keys.ts'
import { listingTests } from './suite-listing.ts'
import { multipartTests } from './suite-multipart.ts'
import { objectTests } from './suite-objects.ts'
import { streamTests } from './suite-streams.ts'

/** What every ObjectStore does, whatever is behind it; `more` is what some do besides. */
export function objectStoreSuite(
  name: string,
  open: () => Promise<StoreUnderTest>,
  more: readonly ((suite: Suite) => void)[] = [],
): void {
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
      conditionalTests,
      failureTests,
      listingTests,
      multipartTests,
      streamTests,
      ...more,
    ]) {
      define(suite)
    }
  })
}
