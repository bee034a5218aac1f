import type { ObjectStore } from '../../../infra/objects/store.ts'

export interface StoreUnderTest {
  store: ObjectStore
  /** Names of everything that an unfinished upload has left so far: none where nothing is under way. */
  leftovers: () => Promise<string[]>
  /** Whether `a` and `a/b` can both be objects: S3 says so, versitygw's folders do not. */
  nestsKeys: boolean
  /** Whether of conditional puts that arrive together one wins: S3 says so, versitygw looks first and writes later. */
  decidesRaces: boolean
  /** Uses a signed URL without credentials; there where the store is a server. */
  callSigned?: (method: string, url: string, body?: string) => Promise<{ status: number; text: string }>
  close: () => Promise<void>
}

export interface Suite {
  current: () => StoreUnderTest
  store: () => ObjectStore
  /** A key of this test's own. */
  key: (name?: string) => string
}
