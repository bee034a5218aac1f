/** Countries and their lengths (SWIFT's IBAN registry, release 99). */
const REGISTRY = `
  AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27
  DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28
  IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22
  MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24
  SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30`
const LENGTHS = new Map(
  REGISTRY.trim()
    .split(/\s+/)
    .map(entry => [entry.slice(0, 2), Number(entry.slice(2))]),
)

const HEAD = /(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}/g
/** The longest, with a separator between any two characters. */
const MOST_CHARACTERS = 68
const SEPARATOR = /[ \u00a0-]/
const ALPHANUMERIC = /[A-Za-z0-9]/

/** International bank account numbers (ISO 13616), in one piece or in groups, with the right check digits. */
export function redactIbans(text: string): string {
  let redacted = ''
  let from = 0
  for (const { index } of text.matchAll(HEAD)) {
    const length = index < from ? undefined : lengthOfIban(text.slice(index, index + MOST_CHARACTERS))
    if (length === undefined) continue
    redacted += `${text.slice(from, index)}[iban]`
    from = index + length
  }
  return redacted + text.slice(from)
}

/** How much of the text, with its separators, is an account number; undefined where it does not begin with one. */
function lengthOfIban(text: string): number | undefined {
  const wanted = LENGTHS.get(text.slice(0, 2).toUpperCase())
  let iban = ''
  for (let index = 0; index < text.length && iban.length !== wanted; index++) {
    const character = text[index] ?? ''
    if (ALPHANUMERIC.test(character)) iban += character
    else if (!SEPARATOR.test(character)) return undefined
    if (iban.length !== wanted) continue
    const goesOn = ALPHANUMERIC.test(text[index + 1] ?? '')
    return !goesOn && passesMod97(iban.toUpperCase()) ? index + 1 : undefined
  }
  return undefined
}

/** ISO 7064 MOD 97-10: letters count as 10 to 35, the first four characters come last. */
function passesMod97(iban: string): boolean {
  let rest = 0
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest === 1
}
