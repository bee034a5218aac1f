import { Type } from 'typebox'
import { ContentCapturePolicy } from '../../../domain/inference/capture/policy.schema.ts'
import { getContentPolicy, putContentPolicy } from '../../../domain/inference/capture/policy.service.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const ProjectParams = Type.Object({ project_id: Type.String() })
const errors = { 404: 'There is no such project' }

export const projectRoutes = [
  route({
    method: 'GET',
    path: '/projects/{project_id}/inference-policy',
    auth: 'apiKey',
    scope: 'project',
    summary: "Get what is kept of a project's requests and replies",
    params: ProjectParams,
    gives: json(ContentCapturePolicy),
    errors,
    handle: ({ scope }, deps) => getContentPolicy(deps, scope),
  }),
  route({
    method: 'PUT',
    path: '/projects/{project_id}/inference-policy',
    auth: 'apiKey',
    scope: 'project',
    summary: "Say what is kept of a project's requests and replies",
    description:
      'Off unless told. It holds for calls from then on; what was kept goes when its retention ends, sooner where ' +
      '`retention_days` is shortened. Only what was neither redacted nor cut can be replayed.',
    params: ProjectParams,
    takes: json(ContentCapturePolicy),
    gives: json(ContentCapturePolicy),
    errors,
    handle: ({ scope, body }, deps) => putContentPolicy(deps, scope, body),
  }),
]
