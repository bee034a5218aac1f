import { countChatTokens } from '../../infra/tokenizer/chat-tokens.ts'
import { countTextTokens } from '../../infra/tokenizer/text-tokens.ts'
import type { Chunk } from '../../infra/upstreams/normal/chunk.ts'
import { textOfReply } from '../../infra/upstreams/normal/reply.ts'
import { usageOf } from '../../infra/upstreams/normal/usage.ts'
import { UpstreamFailure } from '../../infra/upstreams/upstream.ts'
import type { TokenUsage } from '../calls/call.rules.ts'
import { NOTHING_USED, type CallResult, type ModelCall } from '../calls/model-call.ts'
import { contentToKeep, type KeptContent } from '../capture/capture.rules.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { ChatCompletionRequest, IpopMetadata, Usage } from './chat.schema.ts'
import { charactersIn, deliveredUsage } from './delivered.rules.ts'
import type { ReplyHead } from './reply.rules.ts'
import { usageView } from './usage.rules.ts'

type Fields = Record<string, unknown>

const isAborted = (error: unknown): boolean => error instanceof UpstreamFailure && error.kind === 'aborted'

/** What a chat has given so far, and what that amounts to. */
export class ChatMeter {
  private text = ''
  private reported: TokenUsage | undefined
  private inputCharacters: number | undefined
  private readonly request: Pick<ChatCompletionRequest, 'messages' | 'tools'>
  private readonly encoding: NonNullable<CatalogEntry['tokenizer']>

  constructor(request: Pick<ChatCompletionRequest, 'messages' | 'tools'>, model: CatalogEntry) {
    this.request = request
    this.encoding = model.tokenizer ?? 'o200k_base'
  }

  /** All texts of the reply so far. */
  get reply(): string {
    return this.text
  }

  /** About what was used so far, without counting. */
  estimate(): CallResult {
    if (this.reported !== undefined) return { usage: this.reported, source: 'upstream' }
    this.inputCharacters ??= charactersIn([this.request.messages, this.request.tools])
    return { usage: deliveredUsage(this.inputCharacters, this.text.length), source: 'counted' }
  }

  /** Tells whether there was any text. */
  saw({ text, usage }: Pick<Chunk, 'text' | 'usage'>): boolean {
    this.text += text
    this.reported = usage ?? this.reported
    return text !== ''
  }

  /** The upstream's figures, else counted from what came. */
  result(): CallResult {
    if (this.reported !== undefined) return { usage: this.reported, source: 'upstream' }
    const usage = {
      input: countChatTokens(this.request.messages, this.request.tools ?? [], this.encoding),
      output: countTextTokens(this.text, this.encoding),
    }
    return { usage, source: 'counted' }
  }
}

/** A model call that is a chat. */
export class ChatCall {
  readonly head: ReplyHead
  readonly call: ModelCall
  private readonly meter: ChatMeter
  private readonly request: ChatCompletionRequest

  constructor(call: ModelCall, request: ChatCompletionRequest) {
    this.call = call
    this.request = request
    this.meter = new ChatMeter(request, call.start.model)
    call.delivered = () => this.meter.estimate()
    this.head = {
      id: `chatcmpl-${call.start.requestId}`,
      created: Math.floor(call.createdAt.getTime() / 1000),
      model: call.start.model.id,
    }
  }

  sawReply(reply: Fields): void {
    const seen = { text: textOfReply(reply), usage: usageOf(reply['usage']) }
    if (this.meter.saw(seen)) this.call.sawFirstToken()
  }

  sawChunk(chunk: Chunk): void {
    if (this.meter.saw(chunk)) this.call.sawFirstToken()
  }

  get hasEnded(): boolean {
    return this.call.hasEnded
  }

  /** Ends it as completed, durably. Errors: whatever kept it from being recorded. */
  async complete(): Promise<{ usage: Usage; ipop: IpopMetadata }> {
    const { usage, source } = this.meter.result()
    const ipop = await this.call.complete({ usage, source, content: this.keptContent() })
    return { usage: usageView(usage), ipop }
  }

  /** Ends it as failed, or as canceled where the client went away; what was delivered is billed, and of nothing nothing. */
  fail(error: unknown): Promise<void> {
    const isBilled = this.call.isAnswered && (isAborted(error) || this.meter.reply !== '')
    return this.call.fail(error, () => ({
      ...(isBilled ? this.meter.result() : NOTHING_USED),
      content: this.keptContent(),
    }))
  }

  private keptContent(): KeptContent | undefined {
    const { caller, requestId } = this.call.start
    const content = { requestId, request: this.request, reply: this.meter.reply, at: this.call.createdAt }
    return contentToKeep(caller.contentPolicy, content)
  }
}
