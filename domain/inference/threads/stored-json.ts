import { isLarge, LARGE_CHARACTERS } from '../../../infra/large-json.ts'
import type { TaskOwner, ThreadDeps } from './thread-work.ts'

/** The value of a JSON text that we stored; of a large one found in a thread. Errors: 503. */
export const storedValue = ({ threadWork }: ThreadDeps, taskOwner: TaskOwner, text: string): unknown =>
  text.length <= LARGE_CHARACTERS ? JSON.parse(text) : threadWork.parseText(taskOwner, text)

/** The JSON of a value that is to be stored or sent; of a large one written in a thread. Errors: 503; the signal's reason. */
export const writtenJson = (
  { threadWork }: ThreadDeps,
  taskOwner: TaskOwner,
  value: unknown,
): string | Promise<Uint8Array> => (isLarge(value) ? threadWork.writeJson(taskOwner, value) : JSON.stringify(value))
