interface SecretForm {
  label: string
  pattern: RegExp
  /** What the pattern cannot say. */
  accepts?: (found: string) => boolean
}

/** A random part: a run without separators, with a digit in it. */
const looksRandom = (found: string): boolean => /[A-Za-z0-9]{16}/.test(found) && /\d/.test(found)

const FORMS: readonly SecretForm[] = [
  // One without an end is taken to the end of the text.
  {
    label: '[private_key]',
    pattern:
      /-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----[^]*?(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|$)/g,
  },
  // OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-), DeepSeek.
  { label: '[api_key]', pattern: /(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,}/g, accepts: looksRandom },
  // Our own.
  { label: '[api_key]', pattern: /ipop_(?:renewal_)?[A-Za-z0-9_-]{43}/g },
  // AWS: ids of keys; secret keys, which only their names tell from other texts.
  { label: '[api_key]', pattern: /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])/g },
  {
    label: '[api_key]',
    pattern:
      /(?<=secret_?(?:access_?)?key["'\\]{0,3}[ \t]{0,4}[:=][ \t]{0,4}["'\\]{0,3})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])/gi,
  },
  // GitHub, GitLab.
  { label: '[api_key]', pattern: /gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}/g },
  { label: '[api_key]', pattern: /(?<![A-Za-z0-9])gl(?:pat|ptt|rt|dt|cbt|ft|soat|agent|oas)-[A-Za-z0-9_.-]{20,}/g },
  // Google: API keys, OAuth access tokens and client secrets.
  { label: '[api_key]', pattern: /(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g },
  { label: '[api_key]', pattern: /(?<![A-Za-z0-9])(?:ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,})/g },
  // Slack: tokens and incoming webhooks.
  { label: '[api_key]', pattern: /xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}/g },
  { label: '[api_key]', pattern: /(?<=hooks\.slack\.com\/(?:services|workflows|triggers)\/)[A-Za-z0-9/_-]{20,}/g },
  // Stripe: secret and restricted keys, webhook secrets; publishable keys are public.
  { label: '[api_key]', pattern: /(?<![A-Za-z0-9])(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}/g },
  { label: '[api_key]', pattern: /(?<![A-Za-z0-9])whsec_[A-Za-z0-9+/=]{24,}/g },
  // JSON Web Tokens (RFC 7519).
  { label: '[jwt]', pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*/g },
  // Headers: Bearer (RFC 6750) and Basic (RFC 7617).
  {
    label: '[token]',
    pattern: /(?<=\bBearer[ \t]{1,4})[A-Za-z0-9._~+/-]{16,}={0,2}/gi,
    accepts: found => /\d/.test(found),
  },
  {
    label: '[token]',
    pattern:
      /(?<=\bauthorization["'\\]{0,3}[ \t]{0,4}[:=][ \t]{0,4}["'\\]{0,3}(?:basic|token|bearer)[ \t]{1,4})[A-Za-z0-9._~+/-]{6,}={0,2}/gi,
  },
  // A password within a URL.
  { label: '[password]', pattern: /(?<=:\/\/[^\s:@/]{1,64}:)[^\s@/]{1,128}(?=@)/g },
]

/** Keys and tokens of the common providers, and what stands where one does: bearer headers, private keys, URLs' passwords. */
export const redactSecrets = (text: string): string =>
  FORMS.reduce(
    (rest, { label, pattern, accepts }) =>
      rest.replace(pattern, found => (accepts === undefined || accepts(found) ? label : found)),
    text,
  )
