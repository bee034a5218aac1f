import { countChatTokens } from '../../infra/tokenizer/chat-tokens.ts'
import { countTextTokens } from '../../infra/tokenizer/text-tokens.ts'
import type { TokenUsage } from '../calls/call.rules.ts'
import type { CallResult, ModelCall } from '../calls/model-call.ts'
import type { ChatCompletionRequest, IpopMetadata, Usage } from './chat.schema.ts'
import { textOfChoices, type ReplyHead } from './reply.rules.ts'
import { parseUsage, usageView } from './usage.rules.ts'

type Fields = Record<string, unknown>

/** A model call that is a chat: what has come back so far, which its end is billed by. */
export class ChatCall {
  readonly head: ReplyHead
  private text = ''
  private reported: TokenUsage | undefined
  readonly call: ModelCall
  private readonly request: ChatCompletionRequest

  constructor(call: ModelCall, request: ChatCompletionRequest) {
    this.call = call
    this.request = request
    this.head = {
      id: `chatcmpl-${call.start.requestId}`,
      created: Math.floor(call.createdAt.getTime() / 1000),
      model: call.start.model.id,
    }
  }

  sawReply(reply: Fields): void {
    this.saw(reply, 'message')
  }

  sawChunk(chunk: Fields): void {
    this.saw(chunk, 'delta')
  }

  /** Ends it as completed, durably. Errors: whatever kept it from being recorded. */
  async complete(): Promise<{ usage: Usage; ipop: IpopMetadata }> {
    const result = this.result()
    const ipop = await this.call.complete(result)
    return { usage: usageView(result.usage), ipop }
  }

  /** Ends it as failed, or as canceled where the client went away; what was produced is billed. */
  fail(error: unknown): Promise<void> {
    return this.call.fail(error, () => this.result())
  }

  private saw(body: Fields, content: 'message' | 'delta'): void {
    const text = textOfChoices(body, content)
    if (text !== '') this.call.sawFirstToken()
    this.text += text
    this.reported = parseUsage(body['usage']) ?? this.reported
  }

  /** The upstream's figures, else counted from what came; nothing where no upstream answered. */
  private result(): CallResult {
    if (this.reported !== undefined) return { usage: this.reported, source: 'upstream' }
    if (!this.call.isAnswered) return { usage: { input: 0, output: 0 }, source: 'none' }
    const encoding = this.call.start.model.tokenizer ?? 'o200k_base'
    const usage = {
      input: countChatTokens(this.request.messages, this.request.tools ?? [], encoding),
      output: countTextTokens(this.text, encoding),
    }
    return { usage, source: 'counted' }
  }
}
