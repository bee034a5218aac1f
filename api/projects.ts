import { Type } from 'typebox'
import { ContentCapturePolicy } from '../domain/capture/policy.schema.ts'
import { getContentPolicy, putContentPolicy } from '../domain/capture/policy.service.ts'
import { route } from './http/route.ts'

const ProjectParams = Type.Object({ project_id: Type.String() })
const errors = { 404: 'There is no such project' }

export const projectRoutes = [
  route({
    method: 'GET',
    path: '/projects/{project_id}/inference-policy',
    auth: 'apiKey',
    summary: "Get what is kept of a project's requests and replies",
    params: ProjectParams,
    reply: ContentCapturePolicy,
    errors,
    handle: ({ caller, params }, deps) => getContentPolicy(deps, caller, params.project_id),
  }),
  route({
    method: 'PUT',
    path: '/projects/{project_id}/inference-policy',
    auth: 'apiKey',
    summary: "Say what is kept of a project's requests and replies",
    description:
      'Off unless told. It holds for calls from then on; what was kept goes when its retention ends, sooner where ' +
      '`retention_days` is shortened. Only what was neither redacted nor cut can be replayed.',
    params: ProjectParams,
    body: ContentCapturePolicy,
    reply: ContentCapturePolicy,
    errors,
    handle: ({ caller, params, body }, deps) => putContentPolicy(deps, caller, params.project_id, body),
  }),
]
