import { EmbeddingsRequest, EmbeddingsResponse } from '../../../domain/inference/embeddings/embeddings.schema.ts'
import { createEmbeddings } from '../../../domain/inference/embeddings/embeddings.service.ts'
import { SANDBOX_HEADER } from './chat.ts'
import { Reply } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const BODY_LIMIT_BYTES = 32 * 1024 * 1024

export const embeddingsRoutes = [
  route({
    method: 'POST',
    path: '/embeddings',
    auth: 'apiKey',
    summary: 'Embed texts',
    description:
      "OpenAI's embeddings over any model of the catalog that has the capability: a text, texts, tokens or lists of " +
      'tokens; as numbers or base64. However many requests the model takes for it, it is one call and one charge.',
    takes: json(EmbeddingsRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: json(EmbeddingsResponse),
    errors: { 403: 'The key may not use the model', 404: 'There is no such model' },
    idempotent: () => true,
    handle: async ({ requestId, caller, body, signal, annotate }, deps) => {
      const { reply, sandbox } = await createEmbeddings(deps, { requestId, caller, request: body, signal, annotate })
      return new Reply(reply, { headers: sandbox ? SANDBOX_HEADER : {} })
    },
  }),
]
