import { ImageGenerationRequest, ImageGenerationResponse } from '../../../domain/inference/images/image.schema.ts'
import { generateImages } from '../../../domain/inference/images/image.service.ts'
import { SANDBOX_HEADER } from './chat.ts'
import { Reply } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

/** Eight references of 10 MiB in base64, and the prompt. */
const BODY_LIMIT_BYTES = 32 * 1024 * 1024

export const imageRoutes = [
  route({
    method: 'POST',
    path: '/images/generations',
    auth: 'apiKey',
    summary: 'Generate images',
    description:
      "OpenAI's image generation over models that draw in a chat. The pictures come as data URLs or base64; what is " +
      'charged is what the provider says they cost. Where some of `n` fail, those that came are given and paid.',
    takes: json(ImageGenerationRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: json(ImageGenerationResponse),
    errors: { 403: 'The key may not use the model', 404: 'There is no such model' },
    idempotent: () => true,
    handle: async ({ requestId, caller, body, signal, annotate }, deps) => {
      const { reply, sandbox } = await generateImages(deps, { requestId, caller, request: body, signal, annotate })
      return new Reply(reply, { headers: sandbox ? SANDBOX_HEADER : {} })
    },
  }),
]
