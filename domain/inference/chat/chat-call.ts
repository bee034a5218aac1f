import type { Chunk } from '../../../infra/upstreams/chunk.ts'
import { textOfReply } from '../../../infra/upstreams/normal/reply.ts'
import { usageOf } from '../../../infra/upstreams/normal/usage.ts'
import { isAborted } from '../../../infra/upstreams/upstream.ts'
import { NOTHING_USED, type CallResult } from '../calls/call.rules.ts'
import type { TokenUsage } from '../tokens/token-usage.rules.ts'
import type { ModelCall } from '../calls/model-call.ts'
import { keptContent, type KeepingDeps } from '../capture/content.service.ts'
import type { TaskOwner, ThreadWork } from '../threads/thread-work.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import type { IpopMetadata } from '../metadata/reply-metadata.schema.ts'
import type { Usage } from '../tokens/usage.schema.ts'
import { charactersIn, deliveredUsage } from './delivered.rules.ts'
import type { ReplyHead } from './reply.rules.ts'
import { usageView } from '../tokens/usage.rules.ts'

type Fields = Record<string, unknown>

/** More than all choices of any model together. */
const MOST_OUTPUT_TOKENS = 4_000_000

/** What a chat has given so far, and what that amounts to. */
export class ChatMeter {
  private text = ''
  private reported: TokenUsage | undefined
  private inputCharacters: number | undefined
  private readonly request: Pick<ChatCompletionRequest, 'messages' | 'tools'>
  private readonly model: CatalogEntry

  constructor(request: Pick<ChatCompletionRequest, 'messages' | 'tools'>, model: CatalogEntry) {
    this.request = request
    this.model = model
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

  /** The upstream's figures, else counted from what came, or estimated where no thread can count it now. */
  result(work: ThreadWork, taskOwner: TaskOwner): CallResult | Promise<CallResult> {
    if (this.reported !== undefined) return { usage: this.reported, source: 'upstream' }
    return this.counted(work, taskOwner).catch(() => this.estimate())
  }

  private async counted(work: ThreadWork, taskOwner: TaskOwner): Promise<CallResult> {
    const { messages, tools } = this.request
    const { max_input_tokens: most, tokenizer: encoding = 'o200k_base' } = this.model
    const input = await work.countChat(taskOwner, { most, messages, tools: tools ?? [], encoding })
    const output = await work.countTexts(taskOwner, { most: MOST_OUTPUT_TOKENS, texts: [this.text], encoding })
    return { usage: { input: input.tokens, output: output.tokens }, source: 'counted' }
  }
}

/** A model call that is a chat. */
export class ChatCall {
  readonly head: ReplyHead
  readonly call: ModelCall
  private readonly meter: ChatMeter
  private readonly deps: KeepingDeps
  private readonly request: ChatCompletionRequest

  constructor(deps: KeepingDeps, call: ModelCall, request: ChatCompletionRequest) {
    this.deps = deps
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
    const ended = this.ended()
    const result = ended instanceof Promise ? await ended : ended
    const { usage } = result
    const ipop = await this.call.complete(result)
    return { usage: usageView(usage), ipop }
  }

  /** Ends it as failed, or as canceled where the client went away; what was delivered is billed, and of nothing nothing. */
  fail(error: unknown): Promise<void> {
    const isBilled = this.call.isAnswered && (isAborted(error) || this.meter.reply !== '')
    return this.call.fail(error, () => this.ended(isBilled))
  }

  /** At once where the upstream told its figures and nothing is kept. Nobody's signal ends it: it is to be recorded. */
  private ended(isBilled = this.call.isAnswered || this.call.isFromCache): CallResult | Promise<CallResult> {
    const { caller, requestId } = this.call.start
    const taskOwner = { tenant: caller.owner.userId }
    const result = isBilled ? this.meter.result(this.deps.threadWork, taskOwner) : NOTHING_USED
    const call = { requestId, request: this.request, reply: this.meter.reply, at: this.call.createdAt }
    const content = keptContent(this.deps, taskOwner, caller.contentPolicy, call)
    if (content === undefined && !(result instanceof Promise)) return result
    return Promise.all([result, content]).then(([counted, kept]) => ({ ...counted, content: kept }))
  }
}
