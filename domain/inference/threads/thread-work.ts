import { fileURLToPath } from 'node:url'
import { createThreads, ThreadsBusy, type Threads } from '../../../infra/threads/threads.ts'
import type { LargeJson } from '../../../infra/upstreams/large.ts'
import type { TokenCount } from '../../../infra/tokenizer/text-tokens.ts'
import type { CallContent, KeptContent } from '../redaction/capture.rules.ts'
import type { ContentPolicy } from '../../core/caller.rules.ts'
import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import type { ChatSizes } from '../chat-request/chat-sizes.rules.ts'
import type { Fit } from '../chat-request/truncation.rules.ts'
import { serviceUnavailable } from '../../core/errors.ts'
import type { ChatToCount, ParsedJson, TextsToCount } from './tasks.ts'

/** Whose turn a task takes, and until when it is wanted. */
export interface TaskOwner {
  tenant: string
  signal?: AbortSignal
}

/**
 * Work whose time grows with what strangers send, done in threads: fair between tenants.
 * Errors: 503 where too many wait or it takes too long; the asker's signal.
 */
export interface ThreadWork {
  countChat(taskOwner: TaskOwner, chat: ChatToCount): Promise<TokenCount>
  countTexts(taskOwner: TaskOwner, texts: TextsToCount): Promise<TokenCount>
  keepContent(taskOwner: TaskOwner, policy: ContentPolicy, call: CallContent): Promise<KeptContent | undefined>
  /** The value of a JSON text that comes in blocks, which are gone afterwards. */
  parseJson(taskOwner: TaskOwner, blocks: Uint8Array<ArrayBuffer>[]): Promise<ParsedJson>
  /** The same of a text that may hold more values or levels than anything here is ready for. */
  parseUncounted(taskOwner: TaskOwner, blocks: Uint8Array<ArrayBuffer>[]): Promise<ParsedJson>
  /** The same of a text that is JSON for certain. */
  parseText(taskOwner: TaskOwner, text: string): Promise<unknown>
  /** The value's JSON in UTF-8. */
  writeJson(taskOwner: TaskOwner, value: unknown): Promise<Uint8Array>
  /** The value of an upstream's reply; undefined where it is no JSON, or holds too much. */
  readReply(taskOwner: TaskOwner, blocks: Uint8Array<ArrayBuffer>[]): Promise<unknown>
  chatSizes(taskOwner: TaskOwner, request: ChatCompletionRequest): Promise<ChatSizes>
  startThatFits(taskOwner: TaskOwner, fit: Fit): Promise<number>
  stop(): Promise<void>
}

export interface ThreadDeps {
  threadWork: ThreadWork
}

const RETRY_SECONDS = 2

export const openThreadWork = (): ThreadWork =>
  createThreadWork(createThreads(fileURLToPath(new URL('./tasks.js', import.meta.url))))

function createThreadWork(threads: Threads): ThreadWork {
  const run = async <Result>(
    name: string,
    taskOwner: TaskOwner,
    input: unknown,
    moved?: ArrayBuffer[],
  ): Promise<Result> => {
    try {
      return (await threads.run({ ...taskOwner, name, input, ...(moved && { moved }) })) as Result
    } catch (error) {
      if (error instanceof ThreadsBusy)
        throw serviceUnavailable('Too much is asked for at once right now.', RETRY_SECONDS, error)
      throw error
    }
  }
  return {
    countChat: (taskOwner, chat) => run('countChat', taskOwner, chat),
    countTexts: (taskOwner, texts) => run('countTexts', taskOwner, texts),
    keepContent: (taskOwner, policy, call) => run('keepContent', taskOwner, { policy, call }),
    parseJson: (taskOwner, blocks) => run('parseJson', taskOwner, blocks, buffersOf(blocks)),
    parseUncounted: (taskOwner, blocks) => run('parseUncounted', taskOwner, blocks, buffersOf(blocks)),
    parseText: (taskOwner, text) => run('parseText', taskOwner, text),
    writeJson: (taskOwner, value) => run('writeJson', taskOwner, value),
    readReply: (taskOwner, blocks) => run('readReply', taskOwner, blocks, buffersOf(blocks)),
    chatSizes: (taskOwner, request) => run('chatSizes', taskOwner, request),
    startThatFits: (taskOwner, fit) => run('fitIntoWindow', taskOwner, fit),
    stop: () => threads.stop(),
  }
}

const buffersOf = (blocks: readonly Uint8Array<ArrayBuffer>[]): ArrayBuffer[] => blocks.map(({ buffer }) => buffer)

/** What upstreams' bodies and replies are written and read by. */
export const largeJson = ({ writeJson, readReply }: Pick<ThreadWork, 'writeJson' | 'readReply'>): LargeJson => ({
  write: writeJson,
  read: readReply,
})
