import { isLarge, LARGE_CHARACTERS } from '../../infra/large-json.ts'
import type { Asker, ThreadDeps } from './thread-work.ts'

/** The value of a JSON text that we stored; of a large one found in a thread. Errors: 503. */
export const storedValue = ({ threadWork }: ThreadDeps, asker: Asker, text: string): unknown =>
  text.length <= LARGE_CHARACTERS ? JSON.parse(text) : threadWork.parseText(asker, text)

/** The JSON of a value that is to be stored; of a large one written in a thread. Errors: 503. */
export const storedJson = ({ threadWork }: ThreadDeps, asker: Asker, value: unknown): string | Promise<Uint8Array> =>
  isLarge(value) ? threadWork.writeJson(asker, value) : JSON.stringify(value)
