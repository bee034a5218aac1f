import { redactCards } from './card.rules.ts'
import { redactIbans } from './iban.rules.ts'
import { redactSecrets } from './secret.rules.ts'

/** What a rule finds in a text. */
type Finder = (text: string) => string

/**
 * Each finder takes time linear in the text, whatever it holds: a pattern that can fail after a run of unbounded
 * length begins only where such a run begins.
 */
const EMAIL =
  /(?<![\p{L}\p{N}._%+'-])[\p{L}\p{N}._%+'-]+@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,62})\.){1,8}(?!(?:png|jpe?g|gif|webp|svg)\b)\p{L}{2,24}(?![\p{L}\p{N}])/giu

const PHONES = [
  // E.164 with its plus sign: +49 (0)30 1234567.
  /(?<![\w+])\+[1-9](?:[ .()/\u00a0-]{0,2}\d){6,14}(?!\d)/g,
  // With the international prefix, in groups: 0049 30 1234567.
  /(?<![\w.+-])00[1-9]\d{0,2}[ /.-](?:[ .()/-]{0,2}\d){6,12}(?![\w-])/g,
  // North American: (415) 555-2671, 1-415-555-2671, 415.555.2671.
  /(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[.-])[2-9]\d{2}[ .-]\d{4}(?![\w-]|\.\d)/g,
  // French and others in pairs: 01 23 45 67 89.
  /(?<![\w.+-])0[1-9](?:[ .-]\d{2}){4}(?![\w-]|[ .]\d)/g,
  // With an area code: 030 1234567, 0151/23456789, 020 7946 0958.
  /(?<![\w.+-])\(?0[1-9]\d{1,4}\)?[ /-]\d{3,4}[ -]?\d{3,5}(?![\w-]|[ .]\d)/g,
]

const IPV4 = /(?<![\w.])(\d{1,3})\.(\d{1,3})\.\d{1,3}\.\d{1,3}(?!\w|\.\d)/g
/** Unique local (RFC 4193), link-local (RFC 4291) and loopback. */
const IPV6 = /(?<![\w:.])(?:(?:f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):[0-9a-f:]{1,35}(?:%\w{1,16})?|::1)(?![\w:]|\.\d)/gi

/** RFC 1918, RFC 6598, loopback and link-local. */
function isPrivate(first: number, second: number): boolean {
  if (first === 10 || first === 127) return true
  if (first === 172) return second >= 16 && second <= 31
  if (first === 192) return second === 168
  if (first === 169) return second === 254
  return first === 100 && second >= 64 && second <= 127
}

const redactEmails: Finder = text => text.replace(EMAIL, '[email]')

const redactPhones: Finder = text => PHONES.reduce((rest, pattern) => rest.replace(pattern, '[phone]'), text)

const redactPrivateAddresses: Finder = text =>
  text
    .replace(IPV4, (address, first: string, second: string) =>
      isPrivate(Number(first), Number(second)) ? '[private_address]' : address,
    )
    .replace(IPV6, '[private_address]')

/** In this order: what is more certain comes first, so that a card is not taken for a phone. */
const PERSONAL: readonly Finder[] = [redactEmails, redactIbans, redactCards, redactPrivateAddresses, redactPhones]

const RULES: Record<string, readonly Finder[]> = {
  default: [redactSecrets, ...PERSONAL],
  secrets: [redactSecrets],
  personal_data: PERSONAL,
}

/** The redaction rules that a policy may name. */
export const REDACTION_RULES: readonly string[] = Object.keys(RULES)

/** An image or a file in a request: nothing to read in it, and much that looks like something. */
const DATA_URL = /^data:[\w/+.;=-]{0,100};base64,[A-Za-z0-9+/_=-]*$/

/**
 * The text with labels such as `[email]` in place of what the rule finds: e-mail addresses, phone numbers, cards with
 * Luhn's check digit, IBANs with theirs, keys and tokens, addresses of private networks.
 */
export function redactedText(text: string, ruleId: string | null): string {
  if (DATA_URL.test(text)) return text
  return (RULES[ruleId ?? 'default'] ?? RULES['default'] ?? []).reduce((rest, find) => find(rest), text)
}
