/** What the sandbox makes of a user's text, by key words: enough for a demonstration, honest in its means. */
export interface Reading {
  text: string
  words: number
  /** Its beginning on one line. */
  digest: string
  topic: string
  sentiment: 'positive' | 'negative' | 'neutral'
  urgency: 'high' | 'normal'
  /** Lower-case names under which an enum may mean the topic, sentiment or urgency. */
  labels: ReadonlySet<string>
}

const DIGEST_CHARS = 120

/** In order: the first topic with most hits wins. Labels are what an enum may call it. */
const TOPICS: readonly { topic: string; labels: string[]; words: RegExp }[] = [
  {
    topic: 'billing',
    labels: ['payment', 'payments', 'refund', 'invoice'],
    words: /\b(bill(ed|ing)?|charged?|invoices?|refund|payments?|paid|pric(e|ing)|credit card|receipt|vat|tax)\b/gi,
  },
  {
    topic: 'cancellation',
    labels: ['cancel', 'churn'],
    words: /\b(cancel(led|ling|lation)?|unsubscribe|close my account|terminate)\b/gi,
  },
  {
    topic: 'account',
    labels: ['access', 'login', 'account_access', 'authentication'],
    words: /\b(log ?in|sign ?in|password|locked out|two-factor|2fa|sso|account|email address)\b/gi,
  },
  {
    topic: 'shipping',
    labels: ['delivery', 'order', 'orders', 'logistics'],
    words: /\b(deliver(y|ed)?|shipp?(ed|ing|ment)?|package|parcel|tracking|courier|order)\b/gi,
  },
  {
    topic: 'technical',
    labels: ['bug', 'technical_issue', 'incident', 'error', 'support'],
    words:
      /\b(errors?|bugs?|crash(es|ed|ing)?|broken|fail(s|ed|ing|ure)?|timeouts?|slow|outage|exception|stack trace|api|5\d\d)\b/gi,
  },
  {
    topic: 'feature',
    labels: ['feature_request', 'feature request', 'request', 'feedback', 'product'],
    words: /\b(feature|would be (great|nice)|please add|support for|roadmap|wish|suggest(ion)?)\b/gi,
  },
]
const GENERAL = { topic: 'general', labels: ['other', 'general_inquiry', 'question'] }

const POSITIVE = /\b(thanks?|thank you|great|love|perfect|excellent|awesome|happy|good|works well|fantastic)\b/gi
const NEGATIVE =
  /\b(not|never|wrong|angry|terrible|broken|fail(s|ed)?|bad|worst|disappointed|twice|unacceptable|frustrat\w+|lost|late|error|can't|cannot|doesn't|locked)\b/gi
const URGENT = /\b(urgent(ly)?|asap|immediately|right now|outage|is down|deadline|today|critical|production)\b/i

/** Reads a text. Pure and deterministic. */
export function readingOf(text: string): Reading {
  const { topic, labels } = topicOf(text)
  const sentiment = sentimentOf(text)
  const urgency = URGENT.test(text) ? 'high' : 'normal'
  const priority = urgency === 'high' ? ['urgent', 'critical', 'p1'] : ['medium', 'p3']
  return {
    text,
    words: text.match(/\S+/g)?.length ?? 0,
    digest: digestOf(text),
    topic,
    sentiment,
    urgency,
    labels: new Set([topic, ...labels, sentiment, urgency, ...priority]),
  }
}

function topicOf(text: string): { topic: string; labels: string[] } {
  const hits = TOPICS.map(entry => ({ ...entry, count: text.match(entry.words)?.length ?? 0 }))
  const best = hits.reduce((a, b) => (b.count > a.count ? b : a))
  return best.count > 0 ? best : GENERAL
}

function sentimentOf(text: string): Reading['sentiment'] {
  const balance = (text.match(POSITIVE)?.length ?? 0) - (text.match(NEGATIVE)?.length ?? 0)
  return balance > 0 ? 'positive' : balance < 0 ? 'negative' : 'neutral'
}

function digestOf(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  const characters = Array.from(line.slice(0, DIGEST_CHARS * 2))
  return characters.length > DIGEST_CHARS ? `${characters.slice(0, DIGEST_CHARS - 1).join('')}…` : line
}
