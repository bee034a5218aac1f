import { fileURLToPath } from 'node:url'
import { createThreads, ThreadsBusy, type Threads } from '../../infra/threads/threads.ts'
import type { TokenCount } from '../../infra/tokenizer/text-tokens.ts'
import type { CallContent, ContentPolicy, KeptContent } from '../capture/capture.rules.ts'
import { serviceUnavailable } from '../errors.ts'
import type { ChatToCount, ParsedJson, TextsToCount } from './tasks.ts'

/** Whose turn a task takes, and until when it is wanted. */
export interface Asker {
  tenant: string
  signal?: AbortSignal
}

/**
 * Work whose time grows with what strangers send, done in threads: fair between tenants.
 * Errors: 503 where too many wait or it takes too long; the asker's signal.
 */
export interface ThreadWork {
  countChat(asker: Asker, chat: ChatToCount): Promise<TokenCount>
  countTexts(asker: Asker, texts: TextsToCount): Promise<TokenCount>
  keepContent(asker: Asker, policy: ContentPolicy, call: CallContent): Promise<KeptContent | undefined>
  /** The bytes are gone afterwards. */
  parseJson(asker: Asker, bytes: ArrayBuffer): Promise<ParsedJson>
  stop(): Promise<void>
}

export interface ThreadDeps {
  threadWork: ThreadWork
}

const RETRY_SECONDS = 2

export const openThreadWork = (): ThreadWork =>
  createThreadWork(createThreads(fileURLToPath(new URL('./tasks.js', import.meta.url))))

function createThreadWork(threads: Threads): ThreadWork {
  const run = async <Result>(name: string, asker: Asker, input: unknown, moved?: ArrayBuffer[]): Promise<Result> => {
    try {
      return (await threads.run({ ...asker, name, input, ...(moved && { moved }) })) as Result
    } catch (error) {
      if (error instanceof ThreadsBusy)
        throw serviceUnavailable('Too much is asked for at once right now.', RETRY_SECONDS, error)
      throw error
    }
  }
  return {
    countChat: (asker, chat) => run('countChat', asker, chat),
    countTexts: (asker, texts) => run('countTexts', asker, texts),
    keepContent: (asker, policy, call) => run('keepContent', asker, { policy, call }),
    parseJson: (asker, bytes) => run('parseJson', asker, bytes, [bytes]),
    stop: () => threads.stop(),
  }
}
