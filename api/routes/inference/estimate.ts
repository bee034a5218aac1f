import { EstimateRequest, EstimateResponse } from '../../../domain/inference/estimate/estimate.schema.ts'
import { estimate } from '../../../domain/inference/estimate/estimate.service.ts'
import {
  ModelRecommendationRequest,
  ModelRecommendationResponse,
} from '../../../domain/inference/recommendations/recommendation.schema.ts'
import { recommendModels } from '../../../domain/inference/recommendations/recommendation.service.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const BODY_LIMIT_BYTES = 32 * 1024 * 1024

export const estimateRoutes = [
  route({
    method: 'POST',
    path: '/estimate',
    auth: 'apiKey',
    summary: 'Estimate the tokens and the price of a request',
    description:
      'Takes the body of a chat completion or of embeddings as it is. Nothing is asked of a model and nothing charged; ' +
      '`warnings` say what is approximate.',
    takes: json(EstimateRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: json(EstimateResponse),
    errors: { 403: 'The key may not use the model', 404: 'There is no such model' },
    handle: ({ requestId, caller, body, signal }, deps) => estimate(deps, { requestId, caller, signal }, body),
  }),
  route({
    method: 'POST',
    path: '/model-recommendations',
    auth: ['apiKey', 'none'],
    summary: 'Recommend models for a task',
    description:
      'Scored from 0 to 100 by the catalog and by what is available now: up to 40 for the task, 20 for the place in the ' +
      'catalog, 20 for the quality tier, 10 for latency, 10 for the price. `reason` names what each part gave.',
    takes: json(ModelRecommendationRequest),
    gives: json(ModelRecommendationResponse),
    handle: ({ caller, body }, deps) => recommendModels(deps, caller?.rules, body),
  }),
]
