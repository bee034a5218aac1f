import type { CatalogEntry, ModelStatus } from '../catalog/catalog.schema.ts'
import { supports } from '../catalog/model-access.rules.ts'
import type { ModelRecommendationRequest } from './recommendation.schema.ts'

/** A model that may be recommended, and how it is now. */
export interface Candidate {
  entry: CatalogEntry
  status: ModelStatus
}

export interface Scored extends Candidate {
  score: number
  reason: string
}

type Purpose = CatalogEntry['recommended_for'][number]

/** Beginnings of words by which a task tells what it is about. */
const WORDS: Record<Purpose, RegExp> = {
  coding: /\b(cod(e|ing)|program|refactor|debug|bug|implement|function|script|test(s|ing)?\b|pull request|compil)/i,
  completion: /\b(autocomplet|complet|fill)/i,
  agents: /\b(agent|tool|automat|workflow|browse)/i,
  reasoning: /\b(reason|math|proof|prove|plan|analy[sz]|logic|think|puzzle)/i,
  long_context: /\b(long|document|book|repositor|codebase|transcript|contract)/i,
  vision: /\b(image|vision|picture|photo|screenshot|diagram|ocr)/i,
  classification: /\b(classif|label|tag|moderat|extract|sentiment|categor|rout(e|ing))/i,
  batch: /\b(batch|bulk|offline|nightly)/i,
  chat: /\b(chat|convers|assist|support|write|writing|translat|summar|answer)/i,
  retrieval: /\b(embed|retriev|semantic|search|vector)/i,
}

/** What the task is about, as far as the catalog has words for it. */
export const purposesOf = (task: string): Purpose[] =>
  Object.entries(WORDS).flatMap(([purpose, words]) => (words.test(task) ? [purpose] : []))

/** Whether the model can do what is required at all. */
export function isFit(entry: CatalogEntry, request: ModelRecommendationRequest, purposes: readonly Purpose[]): boolean {
  const { max_cost_per_million_output_usd: maxCost, max_input_tokens: input } = request
  return (
    supports(entry, purposes.includes('retrieval') ? 'embeddings' : 'chat') &&
    (request.require_tools !== true || supports(entry, 'tools')) &&
    (request.require_vision !== true || supports(entry, 'vision')) &&
    (request.require_json_schema !== true || supports(entry, 'json_schema')) &&
    (typeof maxCost !== 'number' || entry.price.output <= maxCost) &&
    (typeof input !== 'number' || entry.max_input_tokens >= input)
  )
}

interface Points {
  points: number
  because: string
}

/** The candidates with their scores, the best first; equal ones by their ids. */
export function scored(
  candidates: readonly Candidate[],
  request: ModelRecommendationRequest,
  purposes: readonly Purpose[],
): Scored[] {
  const prices = candidates.map(({ entry }) => entry.price.output).toSorted((a, b) => a - b)
  const all = candidates.map(candidate => withScore(candidate, request, purposes, prices))
  return all.toSorted((a, b) => b.score - a.score || (a.entry.id < b.entry.id ? -1 : 1))
}

function withScore(
  { entry, status }: Candidate,
  request: ModelRecommendationRequest,
  purposes: readonly Purpose[],
  prices: readonly number[],
): Scored {
  const parts = [
    forTask(entry, purposes),
    forSlot(entry),
    forQuality(entry, request.quality_tier ?? 'balanced'),
    forLatency(entry, request.prefer_low_latency === true),
    forPrice(entry, prices),
    forStatus(status),
  ]
  const score = parts.reduce((sum, { points }) => sum + points, 0)
  const reason = parts.flatMap(({ points, because }) => (points === 0 ? [] : [`${signed(points)} ${because}`]))
  return { entry, status, score: Math.max(0, round(score)), reason: reason.join('; ') }
}

function forTask(entry: CatalogEntry, purposes: readonly Purpose[]): Points {
  const matched = purposes.filter(purpose => entry.recommended_for.includes(purpose))
  if (matched.length === 0) return { points: 0, because: '' }
  return { points: (40 * matched.length) / purposes.length, because: `recommended for ${matched.join(' and ')}` }
}

const TIER_POINTS: Record<CatalogEntry['tier'], Points> = {
  recommended: { points: 20, because: 'among the recommended models' },
  tier_1: { points: 15, because: 'in tier 1' },
  tier_2: { points: 10, because: 'in tier 2' },
  catalog: { points: 5, because: 'in the catalog' },
}
const forSlot = (entry: CatalogEntry): Points => TIER_POINTS[entry.tier]

const QUALITIES = ['low_cost', 'balanced', 'premium'] as const
type Quality = (typeof QUALITIES)[number]

/** USD per million output tokens, up to which a model is of the tier. */
const LOW_COST_UP_TO_USD = 2
const BALANCED_UP_TO_USD = 10

function qualityOf({ price }: CatalogEntry): Quality {
  if (price.output <= LOW_COST_UP_TO_USD) return 'low_cost'
  return price.output <= BALANCED_UP_TO_USD ? 'balanced' : 'premium'
}

function forQuality(entry: CatalogEntry, asked: Quality): Points {
  const quality = qualityOf(entry)
  const apart = Math.abs(QUALITIES.indexOf(quality) - QUALITIES.indexOf(asked))
  return { points: 20 - 10 * apart, because: `a ${quality.replace('_', '-')} model` }
}

const LATENCIES: Record<CatalogEntry['latency_class'], number> = { low: 10, standard: 5, deep: 0 }

const forLatency = (entry: CatalogEntry, isAsked: boolean): Points => ({
  points: isAsked ? LATENCIES[entry.latency_class] : 0,
  because: `${entry.latency_class} latency`,
})

/** By the rank among the candidates. */
function forPrice(entry: CatalogEntry, prices: readonly number[]): Points {
  const cheaper = prices.filter(price => price < entry.price.output).length
  return {
    points: 10 * (1 - cheaper / Math.max(1, prices.length - 1)),
    because: `its price of ${entry.price.output} USD per million output tokens`,
  }
}

const STATUSES: Record<ModelStatus, Points> = {
  available: { points: 0, because: '' },
  degraded: { points: -10, because: 'a route of it is failing now' },
  temporarily_unavailable: { points: -50, because: 'it is not available now' },
  not_enabled: { points: -50, because: 'it is not enabled here' },
  deprecated: { points: -50, because: 'it is deprecated' },
}
const forStatus = (status: ModelStatus): Points => STATUSES[status]

const round = (points: number): number => Math.round(points * 10) / 10
const signed = (points: number): string => `${points > 0 ? '+' : ''}${round(points)}`
