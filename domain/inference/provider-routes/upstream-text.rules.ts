import { redactSecrets } from '../redaction/secret.rules.ts'

/** An upstream's refusal of a request, in its own words. */
export interface UpstreamMessage {
  code?: string | undefined
  /** The field that it names. */
  param?: string | undefined
  detail?: string | undefined
}

/** What a caller is told of it. */
export interface PublicRefusal {
  kind: RefusalKind
  sentence: string
  /** The field of the request. */
  param?: string
}

type RefusalKind =
  'too_long' | 'not_taken' | 'bad_value' | 'missing' | 'beyond' | 'schema' | 'policy' | 'image' | 'other'

const OTHER = 'The model does not accept this request.'

/**
 * What of a refusal reaches a caller. Of one on our own accounts: which kind it is, the field and the figures, in our
 * sentences alone, since its words may hold our keys, addresses, deployments and accounts. Of one on the caller's own
 * account (`isOwnKey`): its words, without keys, addresses, e-mail addresses and ids, and not long.
 */
export function publicRefusal(message: UpstreamMessage, isOwnKey: boolean): PublicRefusal {
  const refusal = knownRefusal(message)
  const own = isOwnKey ? withoutPrivate(message.detail ?? '') : ''
  return own === '' ? refusal : { ...refusal, sentence: own }
}

/** Codes of OpenAI's API, and of those that speak its format. */
const CODES: Record<string, RefusalKind> = {
  context_length_exceeded: 'too_long',
  unsupported_parameter: 'not_taken',
  unknown_parameter: 'not_taken',
  unsupported_value: 'bad_value',
  invalid_value: 'bad_value',
  invalid_type: 'bad_value',
  missing_required_parameter: 'missing',
  string_above_max_length: 'beyond',
  array_above_max_length: 'beyond',
  integer_above_max_value: 'beyond',
  integer_below_min_value: 'beyond',
  decimal_above_max_value: 'beyond',
  decimal_below_min_value: 'beyond',
  invalid_function_parameters: 'schema',
  invalid_json_schema: 'schema',
  content_policy_violation: 'policy',
  content_filter: 'policy',
  moderation_blocked: 'policy',
  invalid_image: 'image',
  invalid_image_format: 'image',
  invalid_image_url: 'image',
  invalid_base64_image: 'image',
  image_too_large: 'image',
  image_parse_error: 'image',
}

const FIELD = '[`\'"]?([a-z_]{1,40}(?:[.\\[][a-z_\\d]{1,40}\\]?){0,6})[`\'"]?'
const form = (text: string) => new RegExp(text.replaceAll('FIELD', FIELD), 'i')

/** Sentences without a code, by how the providers put them; what the first group finds is the field. */
const FORMS: [RegExp, RefusalKind][] = [
  [/context[ _](?:length|window|limit)|maximum context|prompt is too long|too many (?:input )?tokens/i, 'too_long'],
  [form('^unsupported parameter: FIELD'), 'not_taken'],
  [form('^(?:unknown|unrecognized) (?:parameter|request argument supplied|field): FIELD'), 'not_taken'],
  [form('^FIELD: extra inputs are not permitted'), 'not_taken'],
  [form('^unsupported value: FIELD'), 'bad_value'],
  [form('^invalid (?:value|type) (?:for|of) FIELD'), 'bad_value'],
  [form('^FIELD: input should be'), 'bad_value'],
  [form('^missing required (?:parameter|field): FIELD'), 'missing'],
  [form('^FIELD: field required'), 'missing'],
  [form('^FIELD: \\d{1,12} > \\d{1,12}'), 'beyond'],
  [/^invalid schema for/i, 'schema'],
  [/content (?:management )?policy|content filter|safety system|usage polic(?:y|ies)|moderation|flagged as/i, 'policy'],
  [/(?:invalid|unsupported|could not process|unable to process|failed to (?:load|download)) .{0,40}\bimage/i, 'image'],
]

function knownRefusal({ code = '', param, detail = '' }: UpstreamMessage): PublicRefusal {
  const text = detail.slice(0, LONGEST_READ)
  const [pattern, byForm] = FORMS.find(([known]) => known.test(text)) ?? []
  const kind = (Object.hasOwn(CODES, code) ? CODES[code] : undefined) ?? byForm ?? 'other'
  if (kind === 'too_long') return { kind, sentence: tooLongSentence(text), param: 'messages' }
  const named = [param, pattern?.exec(text)?.[1]].find(name => name !== undefined && isFieldOfRequest(name))
  return { kind, sentence: SENTENCES[kind](named), ...(named === undefined ? {} : { param: named }) }
}

const ofField = (field: string | undefined, other: string): string => (field === undefined ? other : `\`${field}\``)

const SENTENCES: Record<Exclude<RefusalKind, 'too_long'>, (field: string | undefined) => string> = {
  not_taken: field => `The model does not take ${ofField(field, 'one of the fields')} of this request.`,
  bad_value: field => `The model does not take this value of ${ofField(field, 'one of the fields')}.`,
  missing: field => `The model needs ${ofField(field, 'a field that is missing')}.`,
  beyond: field => `${field === undefined ? 'A field' : `\`${field}\``} is beyond what the model takes.`,
  schema: field => `The model does not take the schema in ${ofField(field, 'this request')}.`,
  policy: () => "The request is against the content policy of the model's provider.",
  image: () => 'The model cannot read an image of this request.',
  other: field => (field === undefined ? OTHER : `The model does not accept \`${field}\` as it is.`),
}

const MOST_TOKENS = /(?:context (?:length|window|limit)|maximum)\b[^\d]{0,40}(\d[\d,]{0,11})/i
const ASKED_TOKENS = /(?:resulted in|requested|too long:|prompt (?:is|has|contains))\D{0,20}(\d[\d,]{0,11}) tokens/i

function tooLongSentence(text: string): string {
  const [most, asked] = [MOST_TOKENS, ASKED_TOKENS].map(pattern => pattern.exec(text)?.[1]?.replaceAll(',', ''))
  const figures = [most && `${most} tokens at most`, asked && `${asked} were asked for`].filter(Boolean).join(', ')
  return `The request is too long for the model${figures === '' ? '' : `: ${figures}`}.`
}

/** Of the operations that reach an upstream. A name that is none of these may be anything. */
const FIELDS = new Set(
  (
    'messages input model prompt tools tool_choice parallel_tool_calls functions function_call response_format text ' +
    'temperature top_p top_k min_p max_tokens max_completion_tokens max_output_tokens n stop seed stream stream_options ' +
    'logprobs top_logprobs logit_bias frequency_penalty presence_penalty repetition_penalty reasoning reasoning_effort ' +
    'verbosity modalities audio image images size quality style background output_format dimensions encoding_format ' +
    'duration resolution aspect_ratio frame_images input_references system thinking service_tier user metadata store'
  ).split(' '),
)
const PATH = /^([a-z_]{1,40})(?:[.[](?:[a-z_]{1,30}|\d{1,5})\]?){0,6}$/

const isFieldOfRequest = (name: string): boolean => FIELDS.has(PATH.exec(name)?.[1] ?? '')

const LONGEST_READ = 2_000
const LONGEST_PUBLIC_TEXT = 500

/** In this order: what holds other things first. Each is linear in the text. */
const PRIVATE: [RegExp, string][] = [
  [/\bbearer\s{1,3}[^\s"',;]{1,200}/gi, '[key]'],
  // Also as providers mask them.
  [/\b(?:sk|pk|rk|ak|key)-[\w*.…-]{4,200}/gi, '[key]'],
  [/\b[a-z][a-z0-9+.-]{1,15}:\/\/[^\s"'<>`)\]]{1,500}/gi, '[url]'],
  [/[\w.+%-]{1,64}@[a-z\d-]{1,63}(?:\.[a-z\d-]{1,63}){1,5}/gi, '[email]'],
  [/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b/g, '[address]'],
  [/(?<![\w:])\[?(?:[\da-f]{1,4}:){2,7}:?[\da-f]{0,4}\]?(?::\d{1,5})?(?![\w:])/gi, '[address]'],
  [/(?<![\w:])\[?(?:[\da-f]{1,4})?::(?:[\da-f]{1,4}(?::[\da-f]{1,4}){0,6})?\]?(?::\d{1,5})?(?![\w:])/gi, '[address]'],
  [
    /\b(?:[a-z\d-]{1,63}\.){1,8}(?:com|net|org|io|ai|dev|cloud|app|co|internal|local|lan|corp|svc|cluster|intra|home)\b(?::\d{1,5})?/gi,
    '[address]',
  ],
  [/\blocalhost(?::\d{1,5})?\b/gi, '[address]'],
  [/\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b/gi, '[id]'],
  [
    /\b(?:org|proj|project|user|acct|account|team|req|request|ws|sess|dep|deployment)[-_](?=[a-z]*\d)[a-z\d]{6,80}\b/gi,
    '[id]',
  ],
  [/\b(?:org|proj)[-_][a-z\d]{6,80}\b/gi, '[id]'],
  [/\b(?=[a-z]*\d)(?=\d*[a-z])[a-z\d]{20,200}\b/gi, '[id]'],
]

function withoutPrivate(detail: string): string {
  const known = redactSecrets(detail.slice(0, LONGEST_READ).replaceAll('\0', ''))
  const shown = PRIVATE.reduce((text, [pattern, label]) => text.replace(pattern, label), known).trim()
  return (shown.length <= LONGEST_PUBLIC_TEXT ? shown : `${shown.slice(0, LONGEST_PUBLIC_TEXT)}…`).toWellFormed()
}
