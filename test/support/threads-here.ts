import * as tasks from '../../domain/inference/threads/tasks.ts'
import { largeJson, type ThreadWork } from '../../domain/inference/threads/thread-work.ts'
import type { LargeJson } from '../../infra/upstreams/large.ts'

/** What threads do, done here: for what is tested without a process of its own. */
export const THREADS_HERE: ThreadWork = {
  countChat: (_, chat) => Promise.resolve(tasks.countChat(chat)),
  countTexts: (_, texts) => Promise.resolve(tasks.countTexts(texts)),
  keepContent: (_, policy, call) => Promise.resolve(tasks.keepContent({ policy, call })),
  parseJson: (_, blocks) => Promise.resolve(tasks.parseJson(blocks)),
  parseUncounted: (_, blocks) => Promise.resolve(tasks.parseUncounted(blocks)),
  parseText: (_, text) => Promise.resolve(tasks.parseText(text)),
  writeJson: (_, value) => Promise.resolve(tasks.jsonBytesOf(value)),
  readReply: (_, blocks) => Promise.resolve(tasks.readReply(blocks)),
  chatSizes: (_, request) => Promise.resolve(tasks.chatSizes(request)),
  startThatFits: (_, fit) => Promise.resolve(tasks.fitIntoWindow(fit)),
  stop: () => Promise.resolve(),
}

export const LARGE_HERE: LargeJson = largeJson(THREADS_HERE)
