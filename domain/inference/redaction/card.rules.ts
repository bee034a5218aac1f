const DIGIT_RUN = /\d(?:[ \u00a0-]?\d){12,}/g
const GROUP = /\d+/g

/** First digits and lengths of the payment networks (ISO/IEC 7812). */
const NETWORKS: { starts: RegExp; lengths: readonly number[] }[] = [
  { starts: /^4/, lengths: [13, 16, 19] },
  { starts: /^(5[1-5]|2[2-7])/, lengths: [16] },
  { starts: /^3[47]/, lengths: [15] },
  { starts: /^(30[0-5]|36|38|39)/, lengths: [14] },
  { starts: /^(6011|64[4-9]|65)/, lengths: [16, 17, 18, 19] },
  { starts: /^(62|35)/, lengths: [16, 17, 18, 19] },
  { starts: /^(50|5[6-9]|67)/, lengths: [13, 15, 16, 17, 18, 19] },
]
const SHORTEST = 13
const LONGEST = 19

/** Luhn's check (ISO/IEC 7812-1 annex B). */
function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index])
    const doubled = index % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

const isCard = (digits: string): boolean =>
  NETWORKS.some(({ starts, lengths }) => lengths.includes(digits.length) && starts.test(digits)) && passesLuhn(digits)

/** Card numbers, in one piece or in groups, also where other digits follow (`4111 1111 1111 1111 123`). */
export const redactCards = (text: string): string => text.replace(DIGIT_RUN, redactRun)

function redactRun(run: string): string {
  const groups = [...run.matchAll(GROUP)].map(match => ({ start: match.index, digits: match[0] }))
  let redacted = ''
  let from = 0
  for (let index = 0; index < groups.length;) {
    const count = groupsOfCard(groups, index)
    const last = groups[index + count - 1]
    if (last === undefined || count === 0) {
      index += 1
      continue
    }
    redacted += `${run.slice(from, groups[index]?.start)}[card]`
    from = last.start + last.digits.length
    index += count
  }
  return redacted + run.slice(from)
}

/** How many groups from this one on are a card; 0 where none are. */
function groupsOfCard(groups: { digits: string }[], first: number): number {
  let digits = ''
  for (let index = first; index < groups.length; index++) {
    digits += groups[index]?.digits ?? ''
    if (digits.length > LONGEST) return 0
    if (digits.length >= SHORTEST && isCard(digits)) return index - first + 1
  }
  return 0
}
