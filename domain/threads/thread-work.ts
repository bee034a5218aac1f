import { fileURLToPath } from 'node:url'
import { createThreads, ThreadsBusy, type Threads } from '../../infra/threads/threads.ts'
import type { LargeJson } from '../../infra/upstreams/large.ts'
import type { TokenCount } from '../../infra/tokenizer/text-tokens.ts'
import type { CallContent, ContentPolicy, KeptContent } from '../capture/capture.rules.ts'
import type { ChatCompletionRequest } from '../chat/chat.schema.ts'
import type { ChatSizes } from '../chat/chat-sizes.rules.ts'
import type { Fit } from '../responses/truncation.rules.ts'
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
  /** The value of a JSON text that comes in blocks, which are gone afterwards. */
  parseJson(asker: Asker, blocks: Uint8Array<ArrayBuffer>[]): Promise<ParsedJson>
  /** The same of a text that may hold more values or levels than anything here is ready for. */
  parseUncounted(asker: Asker, blocks: Uint8Array<ArrayBuffer>[]): Promise<ParsedJson>
  /** The same of a text that is JSON for certain. */
  parseText(asker: Asker, text: string): Promise<unknown>
  /** The value's JSON in UTF-8. */
  writeJson(asker: Asker, value: unknown): Promise<Uint8Array>
  /** The value of an upstream's reply; undefined where it is no JSON, or holds too much. */
  readReply(asker: Asker, blocks: Uint8Array<ArrayBuffer>[]): Promise<unknown>
  chatSizes(asker: Asker, request: ChatCompletionRequest): Promise<ChatSizes>
  startThatFits(asker: Asker, fit: Fit): Promise<number>
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
    parseJson: (asker, blocks) => run('parseJson', asker, blocks, buffersOf(blocks)),
    parseUncounted: (asker, blocks) => run('parseUncounted', asker, blocks, buffersOf(blocks)),
    parseText: (asker, text) => run('parseText', asker, text),
    writeJson: (asker, value) => run('writeJson', asker, value),
    readReply: (asker, blocks) => run('readReply', asker, blocks, buffersOf(blocks)),
    chatSizes: (asker, request) => run('chatSizes', asker, request),
    startThatFits: (asker, fit) => run('fitIntoWindow', asker, fit),
    stop: () => threads.stop(),
  }
}

const buffersOf = (blocks: readonly Uint8Array<ArrayBuffer>[]): ArrayBuffer[] => blocks.map(({ buffer }) => buffer)

/** What upstreams' bodies and replies are written and read by. */
export const largeJson = ({ writeJson, readReply }: Pick<ThreadWork, 'writeJson' | 'readReply'>): LargeJson => ({
  write: writeJson,
  read: readReply,
})
