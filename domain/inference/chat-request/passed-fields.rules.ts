import { badRequest } from '../../core/errors.ts'
import type { ChatCompletionRequest } from './chat.schema.ts'

type Fields = Record<string, unknown>

/**
 * What of a request reaches an upstream. All that is not listed stays here, so that no field can make an upstream sell
 * more than was priced: other names of the limit (`max_new_tokens`, `n_predict`, `generation_config`), more choices
 * (`best_of`, `use_beam_search`, `candidate_count`), dearer output (`audio`, `prediction`, `service_tier`), tools of the
 * provider's own (`web_search_options`, `search_parameters`, `plugins`), input that is not in the request
 * (`previous_response_id`, `cached_content`, `prompt`, `chat_template`), other models and addresses (`models`,
 * `provider`, `fallbacks`, `api_base`), and nests of any of these (`extra_body`, `options`, `parameters`).
 * The limit, the model and `stream_options` are set where the call is made.
 */
const PASSED = new Set(
  [
    // OpenAI's chat completions.
    'messages tools tool_choice parallel_tool_calls functions function_call response_format n stop seed user',
    'temperature top_p frequency_penalty presence_penalty logit_bias logprobs top_logprobs reasoning_effort verbosity',
    'prompt_cache_key prompt_cache_retention safety_identifier',
    // How others are told to think: within the limit.
    'reasoning include_reasoning reasoning_format thinking thinking_budget enable_thinking chat_template_kwargs',
    // What others sample by, and what shape they hold the text to.
    'top_k top_a min_p typical_p tfs_z repetition_penalty length_penalty mirostat mirostat_mode mirostat_tau',
    'mirostat_eta min_tokens stop_token_ids include_stop_str_in_output skip_special_tokens ignore_eos bad_words',
    'random_seed structured_outputs guided_json guided_regex guided_choice guided_grammar grammar',
    'cache_control safe_prompt safety_settings',
  ]
    .join(' ')
    .split(' '),
)

/** The request's fields as upstreams get them; null stands for absent. */
export function passedFields(request: Fields): Fields {
  const passed: Fields = {}
  for (const name in request) {
    const value = request[name]
    if (value !== null && value !== undefined && PASSED.has(name)) passed[name] = value
  }
  return passed
}

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})
const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0

/** The places where requests say how many tokens may be thought, in the words of different providers. */
const BUDGETS: [string, (request: Fields) => unknown][] = [
  ['reasoning.max_tokens', request => fieldsOf(request['reasoning'])['max_tokens']],
  ['thinking.budget_tokens', request => fieldsOf(request['thinking'])['budget_tokens']],
  ['thinking_budget', request => request['thinking_budget']],
]

export interface ThinkingBudget {
  field: string
  tokens: number
}

/** The largest number of tokens that the request lets be thought; undefined where it names none. Errors: 400. */
export function thinkingBudgetOf(request: ChatCompletionRequest): ThinkingBudget | undefined {
  let largest: ThinkingBudget | undefined
  for (const [field, read] of BUDGETS) {
    const tokens = read(request)
    if (tokens === undefined || tokens === null) continue
    if (!isCount(tokens)) throw badRequest(`\`${field}\` must be a whole number from 0.`, field)
    if (largest === undefined || tokens > largest.tokens) largest = { field, tokens }
  }
  return largest
}

/** Errors: 400 where output other than text is asked for, which is priced otherwise. */
export function requireTextOutput({ modalities }: ChatCompletionRequest): void {
  if (modalities === undefined || modalities === null) return
  if (Array.isArray(modalities) && modalities.every(modality => modality === 'text')) return
  throw badRequest('`modalities` must be ["text"]: a chat gives no other output.', 'modalities')
}
