import type { Catalog } from '../catalog/catalog.ts'
import { isUsable, statusOf } from '../models/model.service.ts'
import type { Breakers } from '../provider-routes/breakers.ts'
import { mayUseModel, type KeyRules } from '../../core/caller.rules.ts'
import { isFit, purposesOf, scored, type Scored } from './recommendation.rules.ts'
import type {
  ModelRecommendation,
  ModelRecommendationRequest,
  ModelRecommendationResponse,
} from './recommendation.schema.ts'

const MOST = 5

/** The best models for a task, of those that the key may use where there is one; the same request gives the same answer as long as the same models are available. */
export function recommendModels(
  deps: { catalog: Catalog; breakers: Breakers },
  rules: KeyRules | undefined,
  request: ModelRecommendationRequest,
): ModelRecommendationResponse {
  const purposes = purposesOf(request.task ?? '')
  const candidates = deps.catalog.entries
    .filter(entry => (rules === undefined || mayUseModel(rules, entry.id)) && isFit(entry, request, purposes))
    .map(entry => ({ entry, status: statusOf(deps, entry) }))
    .filter(({ status }) => request.include_unavailable === true || isUsable(status))
  return {
    object: 'model.recommendations',
    recommendations: scored(candidates, request, purposes).slice(0, MOST).map(recommendationView),
  }
}

const recommendationView = ({ entry, status, score, reason }: Scored): ModelRecommendation => ({
  model: entry.id,
  display_name: entry.display_name,
  score,
  reason,
  available: isUsable(status),
  status,
  latency_class: entry.latency_class,
  input_token_rate: entry.price.input,
  output_token_rate: entry.price.output,
})
