import { Type } from 'typebox'
import {
  Model,
  ModelId,
  ModelList,
  PublicReady,
  PublicStatus,
} from '../../../domain/inference/catalog/catalog.schema.ts'
import { getModel, getReady, getStatus, listModels } from '../../../domain/inference/models/model.service.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const Availability = Type.Object({
  include_unavailable: Type.Optional(
    Type.Boolean({ default: false, description: 'Also what is not usable right now.' }),
  ),
  ready: Type.Optional(Type.Boolean({ default: false, description: 'Only what has capacity right now.' })),
})

export const modelRoutes = [
  route({
    method: 'GET',
    path: '/models',
    auth: ['apiKey', 'none'],
    summary: 'List the models that can be used now',
    query: Availability,
    gives: json(ModelList),
    handle: ({ query, caller }, deps) => listModels(deps, query, caller?.rules),
  }),
  route({
    method: 'GET',
    path: '/models/{model_id}',
    tail: true,
    auth: ['apiKey', 'none'],
    summary: 'Get one model; its id may hold a slash, raw or as %2F',
    params: Type.Object({ model_id: ModelId }),
    query: Availability,
    gives: json(Model),
    errors: { 403: 'The key may not use the model', 404: 'There is no such model' },
    handle: ({ params, query, caller }, deps) => getModel(deps, params.model_id, query, caller?.rules),
  }),
  route({
    method: 'GET',
    path: '/status',
    auth: 'none',
    summary: 'Get the availability of the models',
    query: Availability,
    gives: json(PublicStatus),
    handle: ({ query }, deps) => getStatus(deps, query),
  }),
  route({
    method: 'GET',
    path: '/ready',
    auth: 'none',
    summary: 'Get whether a first request would succeed, with checks to copy and paste',
    query: Availability,
    gives: json(PublicReady),
    handle: ({ query }, deps) => getReady(deps, query, deps.config.publicUrl),
  }),
]
