import { parseUsd, type Nanos } from '../../domain/money/ledger/money.rules.ts'

/** A row of the batch as its output or error file tells it. */
export interface DemoResult {
  customId: string
  ok: boolean
  text: string
  tokens: number
  costNanos: Nanos
}

interface OutputLine {
  custom_id: string | null
  response: { body: { choices: Choice[]; usage: { total_tokens: number }; ipop: { cost_usd: number } } } | null
  error: { code: string; message: string; line?: number } | null
}

interface Choice {
  message: { content?: string | null; tool_calls?: { function: { name: string; arguments: string } }[] }
}

/** The results in the order of the input's lines. */
export function resultsOf(input: string, output: string, errors: string): DemoResult[] {
  const order = new Map(linesOf(input).map((line, index) => [customIdOf(line), index]))
  const indexOf = ({ custom_id, error }: OutputLine) =>
    error?.line === undefined ? (order.get(custom_id ?? undefined) ?? order.size) : error.line - 1
  return [...linesOf(output), ...linesOf(errors)]
    .map(text => JSON.parse(text) as OutputLine)
    .map(line => ({ line, index: indexOf(line) }))
    .sort((a, b) => a.index - b.index)
    .map(({ line, index }) => resultOf(line, index))
}

const linesOf = (jsonl: string): string[] => jsonl.split('\n').filter(line => line.trim() !== '')

function customIdOf(line: string): string | undefined {
  try {
    return (JSON.parse(line) as { custom_id?: string }).custom_id
  } catch {
    return undefined
  }
}

function resultOf({ custom_id, response, error }: OutputLine, index: number): DemoResult {
  const customId = custom_id ?? `(line ${index + 1})`
  if (response === null) {
    return { customId, ok: false, text: `${error?.code}: ${error?.message}`, tokens: 0, costNanos: 0n }
  }
  const { choices, usage, ipop } = response.body
  return { customId, ok: true, text: textOf(choices[0]), tokens: usage.total_tokens, costNanos: nanosOf(ipop.cost_usd) }
}

function textOf(choice: Choice | undefined): string {
  const calls = choice?.message.tool_calls ?? []
  const called = calls.map(({ function: { name, arguments: given } }) => `${name}(${given})`)
  return [choice?.message.content ?? '', ...called].join(' ').trim()
}

/** A JSON number of USD has at most nine decimals that count. */
export const nanosOf = (usd: number): Nanos => parseUsd(usd.toFixed(9)) ?? 0n
