import { ByteBlocks } from '../../../infra/byte-blocks.ts'
import { MOST_STRUCTURES } from '../../core/json-budget.ts'
import type { TaskOwner, ThreadWork } from '../../inference/threads/thread-work.ts'
import { brokenLine, fieldsOfLine, parseLine, requireLength, tooComplexLine, type Fields } from './row.rules.ts'

interface Deps {
  threadWork: Pick<ThreadWork, 'parseUncounted'>
}

/**
 * The JSON object of a line; of one that may hold more than a row may, found in a thread. Errors: 400, 503 where no
 * thread has time for it.
 */
export function readLine(deps: Deps, taskOwner: TaskOwner, line: Uint8Array): Fields | Promise<Fields> {
  return line.length <= MOST_STRUCTURES ? parseLine(line) : readLongLine(deps, taskOwner, line)
}

async function readLongLine({ threadWork }: Deps, taskOwner: TaskOwner, line: Uint8Array): Promise<Fields> {
  requireLength(line)
  const bytes = new ByteBlocks()
  bytes.add(line)
  const parsed = await threadWork.parseUncounted(taskOwner, bytes.blocks)
  if ('refusal' in parsed) throw tooComplexLine(parsed.refusal)
  if ('fault' in parsed) throw brokenLine()
  return fieldsOfLine(parsed.value)
}
