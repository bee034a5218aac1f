import { completeChat, streamChat, type ChatDeps, type ChatRequest } from '../chat/chat.service.ts'
import { wantsUsageChunk } from '../chat-request/chat.rules.ts'
import { isAborted } from '../../../infra/upstreams/upstream.ts'
import { DONE, errorEvent, type ChatPart } from '../chat/chat-stream.ts'
import type { ReplyHead } from '../chat/reply.rules.ts'
import { DomainError } from '../../core/errors.ts'
import { newRequestId } from '../../core/ids.ts'
import { chatOfPrompt, choicesOf, errorOfPrompt, failedChoice, promptsOf, sumOf } from './completion.rules.ts'
import type { CompletionChoice, CompletionRequest, CompletionResponse } from './completion.schema.ts'

export type CompletionCall = Omit<ChatRequest, 'request' | 'surface' | 'replayOf'> & { request: CompletionRequest }

type Completed = Awaited<ReturnType<typeof completeChat>>

/**
 * Completes prompts, each by a chat of its own, with its own record and charge. Where some fail, those that came are
 * given and paid, and the others' choices say `error`. Errors: those of a chat; 400 for what chats cannot do.
 */
export async function complete(
  deps: ChatDeps,
  call: CompletionCall,
): Promise<{ reply: CompletionResponse; sandbox: boolean }> {
  const prompts = promptsOf(call.request)
  const done = await Promise.allSettled(
    prompts.map((prompt, promptIndex) => completeChat(deps, chatOf(call, prompt, promptIndex)).catch(rethrowOfPrompt)),
  )
  const [first, ...others] = done.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
  if (first === undefined) throw (done[0] as PromiseRejectedResult).reason
  const { usage, ipop } = sumOf(call.requestId, [first.reply, ...others.map(({ reply }) => reply)])
  return {
    reply: {
      ...headOf(call.requestId, first.reply),
      choices: done.flatMap((one, promptIndex) =>
        choicesOfPrompt(call.request, one, { prompt: prompts[promptIndex] ?? '', promptIndex }),
      ),
      usage,
      ipop,
    },
    sandbox: first.sandbox,
  }
}

/**
 * The same as the data of OpenAI's events, a prompt after the other, with an error event instead of the end where one
 * fails. Resolves at the first event: until then every error is a plain reply.
 */
export async function streamCompletion(
  deps: ChatDeps,
  call: CompletionCall,
): Promise<{ events: AsyncIterable<string[]>; sandbox: boolean }> {
  const prompts = promptsOf(call.request)
  const { parts, sandbox } = await streamChat(deps, chatOf(call, prompts[0] ?? '', 0)).catch(rethrowOfPrompt)
  const partsOf = async (promptIndex: number) =>
    promptIndex === 0 ? parts : (await streamChat(deps, chatOf(call, prompts[promptIndex] ?? '', promptIndex))).parts
  return { events: completionEvents(call, prompts, partsOf), sandbox }
}

async function* completionEvents(
  { requestId, request }: CompletionCall,
  prompts: readonly string[],
  partsOf: (promptIndex: number) => Promise<AsyncIterable<ChatPart[]>>,
): AsyncGenerator<string[], void> {
  const writers = prompts.map((prompt, promptIndex) => chunkWriter(requestId, request, { prompt, promptIndex }))
  const ends: (ChatPart & { kind: 'end' })[] = []
  try {
    for await (const { promptIndex, group } of inTurn(prompts.length, partsOf)) {
      ends.push(...group.filter(part => part.kind === 'end'))
      const data = group.flatMap(part => writers[promptIndex]?.(part) ?? [])
      if (data.length > 0) yield data
    }
    const [first, ...others] = ends
    if (first !== undefined && wantsUsageChunk(request)) {
      const figures = sumOf(requestId, [first, ...others])
      yield [JSON.stringify({ ...headOf(requestId, first.head), choices: [], ...figures })]
    }
    yield [DONE]
  } catch (error) {
    if (!isAborted(error)) yield [errorEvent(errorOfPrompt(error))]
  }
}

async function* inTurn(count: number, partsOf: (promptIndex: number) => Promise<AsyncIterable<ChatPart[]>>) {
  for (let promptIndex = 0; promptIndex < count; promptIndex += 1) {
    for await (const group of await partsOf(promptIndex)) yield { promptIndex, group }
  }
}

/** Writes what a part adds to the text of a prompt's completion; the prompt itself comes first where it is echoed. */
function chunkWriter(
  requestId: string,
  request: CompletionRequest,
  { prompt, promptIndex }: { prompt: string; promptIndex: number },
): (part: ChatPart) => string[] {
  const begun = new Set<number>()
  const echo = request.echo === true ? prompt : ''
  return part => {
    if (part.kind === 'end') return []
    const choices = choicesOf(part.chunk.choices, promptIndex, request.n ?? 1).map(choice => {
      const isFirst = !begun.has(choice.index)
      begun.add(choice.index)
      return isFirst ? { ...choice, text: echo + choice.text } : choice
    })
    const shown = choices.filter(({ text, finish_reason: reason }) => text !== '' || reason !== null)
    return shown.length === 0 ? [] : [JSON.stringify({ ...headOf(requestId, part.head), choices: shown })]
  }
}

/** Each prompt after the first has a request id of its own: a charge is unique by it. */
const chatOf = ({ request, ...call }: CompletionCall, prompt: string, promptIndex: number): ChatRequest => ({
  ...call,
  requestId: promptIndex === 0 ? call.requestId : newRequestId(),
  surface: 'chat',
  request: chatOfPrompt(request, prompt),
})

const headOf = (requestId: string, { created, model }: Omit<ReplyHead, 'id'>) => ({
  id: `cmpl-${requestId}`,
  object: 'text_completion' as const,
  created,
  model,
})

function choicesOfPrompt(
  { n, echo }: CompletionRequest,
  done: PromiseSettledResult<Completed>,
  { prompt, promptIndex }: { prompt: string; promptIndex: number },
): CompletionChoice[] {
  const perPrompt = n ?? 1
  if (done.status === 'fulfilled') {
    return choicesOf(done.value.reply.choices, promptIndex, perPrompt, echo === true ? prompt : '')
  }
  const failure: unknown = done.reason
  if (!(failure instanceof DomainError)) throw failure
  return Array.from({ length: perPrompt }, (_, number) => failedChoice(promptIndex * perPrompt + number, failure))
}

function rethrowOfPrompt(error: unknown): never {
  throw errorOfPrompt(error)
}
