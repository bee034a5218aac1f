import { Type } from 'typebox'
import { requireSigningKey } from '../../../infra/config.ts'
import {
  VideoContentQuery,
  VideoGenerationJob,
  VideoGenerationRequest,
} from '../../../domain/work/videos/video.schema.ts'
import { createVideo, getVideo, readVideo } from '../../../domain/work/videos/video.service.ts'
import type { ApiDeps } from '../../http/request/deps.ts'
import { parseRange, rangeReply } from '../../http/gives/ranges.ts'
import { bytes } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const BODY_LIMIT_BYTES = 32 * 1024 * 1024
const VideoParams = Type.Object({ job_id: Type.String() })
const errors = { 404: 'There is no such video' }

const linksOf = ({ config }: ApiDeps) => ({ publicUrl: config.publicUrl, signingKey: requireSigningKey(config) })

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
    auth: ['apiKey', 'none'],
    summary: "Download a video's bytes, whole or a range, by key or by signed link",
    params: VideoParams,
    query: VideoContentQuery,
    gives: bytes({ 'video/mp4': Type.Unsafe({ type: 'string', format: 'binary' }) }),
    errors: {
      ...errors,
      401: 'Neither a key nor a valid link',
      409: 'The video is not there yet',
      410: 'The video is past its retention',
      416: 'The range lies outside of the video',
    },
    handle: async ({ caller, params, query, header, signal }, deps) => {
      const { content, reading, range } = await readVideo(
        deps,
        linksOf(deps),
        { caller, query },
        params.job_id,
        size => parseRange(header('range'), size),
        signal,
      )
      const of = { sizeBytes: content.size_bytes, contentType: content.content_type, etag: content.etag }
      return rangeReply(of, reading.body, range)
    },
  }),
]
