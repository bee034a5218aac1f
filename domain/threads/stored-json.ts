import { LARGE_CHARACTERS } from '../../infra/large-json.ts'
import type { Asker, ThreadDeps } from './thread-work.ts'

/** The value of a JSON text that we stored; of a large one found in a thread. Errors: 503. */
export const storedValue = ({ threadWork }: ThreadDeps, asker: Asker, text: string): unknown =>
  text.length <= LARGE_CHARACTERS ? JSON.parse(text) : threadWork.parseText(asker, text)
