type Fields = Record<string, unknown>

/** A reply's choices put together again from the chunks of its stream. */
export interface Assembly {
  add(chunk: { choices: object[] }): void
  choices(): Fields[]
}

interface Choice {
  index: number
  message: Fields
  finish_reason: unknown
}

export function createAssembly(): Assembly {
  const choices = new Map<number, Choice>()
  const choiceOf = (index: number): Choice => {
    const known = choices.get(index) ?? { index, message: {}, finish_reason: null }
    choices.set(index, known)
    return known
  }
  return {
    add: chunk => {
      for (const part of chunk.choices as { index: number; delta: Fields; finish_reason: unknown }[]) {
        const choice = choiceOf(part.index)
        mergeDelta(choice.message, part.delta)
        choice.finish_reason = part.finish_reason ?? choice.finish_reason
      }
    },
    choices: () => [...choices.values()].map(choice => ({ ...choice })),
  }
}

/** Texts and lists are appended, tool calls merged by their index; of anything else the last word counts. */
function mergeDelta(message: Fields, delta: Fields): void {
  for (const [name, value] of Object.entries(delta)) {
    if (name === 'tool_calls' && Array.isArray(value)) mergeToolCalls(message, value as Fields[])
    else message[name] = name === 'role' ? value : appended(message[name], value)
  }
}

function appended(before: unknown, value: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(value)) return [...(before as unknown[]), ...(value as unknown[])]
  return typeof before === 'string' && typeof value === 'string' ? before + value : (value ?? before ?? null)
}

function mergeToolCalls(message: Fields, fragments: Fields[]): void {
  const calls = (message['tool_calls'] ??= []) as Fields[]
  for (const { index, function: fragment, ...fields } of fragments) {
    const position = typeof index === 'number' && index >= 0 && index <= calls.length ? index : calls.length
    const call = (calls[position] ??= { function: {} })
    Object.assign(call, fields)
    const merged = call['function'] as Fields
    const { name, arguments: text } = (fragment ?? {}) as Fields
    if (name !== undefined) merged['name'] = name
    merged['arguments'] = appended(merged['arguments'] ?? '', text)
  }
}
