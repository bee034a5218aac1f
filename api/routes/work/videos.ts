import { Type } from 'typebox'
import { requireSigningKeys } from '../../../infra/config.ts'
import {
  VideoContentQuery,
  VideoGenerationJob,
  VideoGenerationRequest,
} from '../../../domain/work/videos/video.schema.ts'
import { createVideo, getVideo, openVideo } from '../../../domain/work/videos/video.service.ts'
import type { ApiDeps } from '../../http/request/deps.ts'
import { bytes } from '../../http/gives/gives.ts'
import { storedBytes } from '../../http/gives/stored-bytes.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const BODY_LIMIT_BYTES = 32 * 1024 * 1024
const VideoParams = Type.Object({ job_id: Type.String() })
const errors = { 404: 'There is no such video' }

const linksOf = ({ config }: ApiDeps) => ({ publicUrl: config.publicUrl, signingKeys: requireSigningKeys(config) })

export const videoRoutes = [
  route({
    method: 'POST',
    path: '/videos',
    auth: 'apiKey',
    summary: 'Start making a video',
    description:
      'Answers once the job is stored: look at it at `polling_url`. What is charged is what the provider says it cost; ' +
      'until then the price of the catalog is held.',
    status: 202,
    takes: json(VideoGenerationRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: json(VideoGenerationJob),
    errors: { 403: 'The key may not use the model', 404: 'There is no such model' },
    idempotent: true,
    handle: ({ caller, body, repeatable }, deps) => createVideo(deps, caller, body, repeatable),
  }),
  route({
    method: 'GET',
    path: '/videos/{job_id}',
    auth: 'apiKey',
    summary: 'Look at a video that is being made',
    description: 'Once it is completed, `unsigned_urls` holds a signed link to it, which needs no key for a day.',
    params: VideoParams,
    gives: json(VideoGenerationJob),
    errors,
    handle: ({ caller, params }, deps) => getVideo(deps, linksOf(deps), caller, params.job_id),
  }),
  route({
    method: 'GET',
    path: '/videos/{job_id}/content',
    auth: ['signedLink', 'apiKey'],
    summary: "Download a video's bytes, whole or a range, by key or by signed link",
    params: VideoParams,
    query: VideoContentQuery,
    gives: bytes({ 'video/mp4': Type.Unsafe({ type: 'string', format: 'binary' }) }),
    errors: {
      ...errors,
      401: 'Neither a key nor a valid link',
      409: 'The video is not there yet',
      410: 'The video is past its retention',
      412: 'The video is not the one that the request names',
      416: 'The range lies outside of the video',
    },
    handle: async (request, deps) => {
      const { principal, params, signal } = request
      const reader = principal.kind === 'key' ? principal.caller : principal.kind
      const { content, read } = await openVideo(deps, reader, params.job_id)
      return storedBytes(request, {
        sizeBytes: content.size_bytes,
        contentType: content.content_type,
        etag: content.etag.replaceAll('"', ''),
        open: range => read(range, signal),
      })
    },
  }),
]
