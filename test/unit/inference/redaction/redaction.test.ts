import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { contentToKeep, sampleOf } from '../../../../domain/inference/redaction/capture.rules.ts'
import type { ContentPolicy } from '../../../../domain/core/caller.rules.ts'
import { redactedText } from '../../../../domain/inference/redaction/redaction.rules.ts'

const POLICY: ContentPolicy = {
  mode: 'all',
  sample_rate: 1,
  max_chars_per_message: 100,
  redact: true,
  redaction_rule_id: null,
  retention_days: 2,
}
const REQUEST_ID = '01a20701-0000-7000-8000-800000000000'
const AT = new Date('2026-11-01T00:00:00Z')
const kept = (request: object, policy: Partial<ContentPolicy> = {}, reply = '') =>
  contentToKeep({ ...POLICY, ...policy }, { requestId: REQUEST_ID, request, reply, at: AT })

/** Random parts are put together here, so that no scanner takes this file for a leak. */
const RANDOM = 'a1B2c3D4'.repeat(8)

describe('redaction finds', () => {
  test.each([
    ['an e-mail address', 'to jane.o+x@mail.example.co.uk, please', 'to [email], please'],
    ['a card', 'card 4111 1111 1111 1111.', 'card [card].'],
    ['a card of 15 digits', '378282246310005', '[card]'],
    ['an IBAN', 'DE89 3704 0044 0532 0130 00', '[iban]'],
    ['a phone number', 'call +49 (0)30 1234567 now', 'call [phone] now'],
    ['a North American number', '(415) 555-2671', '[phone]'],
    ['a private address', 'ssh 192.168.1.20 and 10.0.0.1', 'ssh [private_address] and [private_address]'],
    ['a private IPv6 address', 'at fd12:3456::1', 'at [private_address]'],
    ["OpenAI's key", `sk-${RANDOM}`, '[api_key]'],
    ["Anthropic's key", `sk-ant-api03-${RANDOM}`, '[api_key]'],
    ["GitHub's token", `ghp_${RANDOM.slice(0, 36)}`, '[api_key]'],
    ["AWS's key id", `AKIA${'ABCDEFGHIJKLMNOP'}`, '[api_key]'],
    ["Google's key", `AIza${RANDOM.slice(0, 35)}`, '[api_key]'],
    ["Slack's token", `xoxb-${RANDOM.slice(0, 24)}`, '[api_key]'],
    ["Stripe's key", `sk_live_${RANDOM.slice(0, 24)}`, '[api_key]'],
    ['our own key', `ipop_${RANDOM.slice(0, 43)}`, '[api_key]'],
    ['a JSON Web Token', `eyJ${RANDOM}.eyJ${RANDOM}.${RANDOM}`, '[jwt]'],
    ['a bearer token', `Authorization: Bearer ${RANDOM}`, 'Authorization: Bearer [token]'],
    ['a password in a URL', 'postgres://app:hunter2@db/x', 'postgres://app:[password]@db/x'],
    ['a private key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', '[private_key]'],
  ])('%s', (_, text, redacted) => {
    expect(redactedText(text, null)).toBe(redacted)
  })

  test.each([
    ['a number with a wrong check digit', '4111 1111 1111 1112'],
    ['an IBAN with wrong check digits', 'DE00370400440532013000'],
    ['a public address', '8.8.8.8 and 2001:4860:4860::8888'],
    ['a version', 'v1.2.3.4-rc and 2026-11-01'],
    ['a time', '2026-11-01T10:00:00.000Z'],
    ['a UUID', '01a20701-1234-7000-8000-0123456789ab'],
    ['a file of an icon', 'icon@2x.png'],
    ['code', 'const x = items.map(item => item.id) // 1234567890'],
    ['an image', `data:image/png;base64,${RANDOM}`],
  ])('nothing in %s', (_, text) => {
    expect(redactedText(text, null)).toBe(text)
  })

  test('only what the rule is for', () => {
    const text = `a@example.com sk-${RANDOM}`
    expect(redactedText(text, 'secrets')).toBe('a@example.com [api_key]')
    expect(redactedText(text, 'personal_data')).toBe(`[email] sk-${RANDOM}`)
  })

  test('an e-mail address in whatever stands around it', () => {
    const around = fc.string({ unit: fc.constantFrom(' ', '\n', ',', '(', ')', '"', 'ä', '€', ':'), maxLength: 20 })
    fc.assert(
      fc.property(around, around, (before, after) => {
        // A letter right before or after would be part of another address.
        const text = `${before} jane@example.com ${after}`
        expect(redactedText(text, null)).toBe(`${before} [email] ${after}`)
      }),
    )
  })
})

describe('what is kept', () => {
  test('leaves out what is kept elsewhere, and says when it goes', () => {
    const messages = [{ role: 'user', content: 'hello' }]
    expect(kept({ model: 'm', messages, stream: true, metadata: { a: 1 } }, {}, 'hi')).toEqual({
      request: { model: 'm', messages },
      reply: 'hi',
      redacted: false,
      truncated: false,
      expiresAt: new Date('2026-11-03T00:00:00Z'),
    })
  })

  test('is nothing where the policy is off, or there is none', () => {
    expect(kept({}, { mode: 'off' })).toBeUndefined()
    expect(contentToKeep(null, { requestId: REQUEST_ID, request: {}, reply: '', at: AT })).toBeUndefined()
  })

  test('is a sample by the end of the id', () => {
    expect(sampleOf(REQUEST_ID)).toBe(0.5)
    expect(kept({}, { mode: 'sampled', sample_rate: 0.5 })).toBeUndefined()
    expect(kept({}, { mode: 'sampled', sample_rate: 0.51 })).toBeDefined()
  })

  test('has the limit for each message, for all of its texts together', () => {
    const long = (parts: number) => Array.from({ length: parts }, () => ({ type: 'text', text: 'x'.repeat(60) }))
    const content = kept({ messages: [{ content: long(2) }, { content: 'y'.repeat(60) }] }, { redact: false })
    const { messages } = (content?.request ?? {}) as { messages: { content: any }[] }
    const texts = messages[0]?.content.map((part: { text: string }) => part.text.length) as number[]
    expect(texts.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(100)
    expect(messages[1]?.content).toBe('y'.repeat(60))
    expect(content?.truncated).toBe(true)
  })

  test('never holds a part of a secret that the limit would cut', () => {
    const secret = `sk-${RANDOM}`
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 1, max: 200 }), (before, limit) => {
        const text = `${' '.repeat(before)}${secret}${' '.repeat(20_000)}`
        const content = kept({ messages: [{ content: text }] }, { max_chars_per_message: limit }, text)
        expect(JSON.stringify(content)).not.toContain('sk-a')
      }),
    )
  })

  test('tells that a name of a field was redacted too', () => {
    const content = kept({ tools: [{ 'jane@example.com': 1 }] })
    expect(content).toMatchObject({ redacted: true, request: { tools: [{ '[email]': 1 }] } })
  })
})
