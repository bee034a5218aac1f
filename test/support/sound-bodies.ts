import { randomUUID } from 'node:crypto'
import { credentialOf } from './credentials.ts'
import { fakePrompt } from './fake-upstream.ts'
import { KEEP_ALL } from './policies.ts'

const DRAWING = fakePrompt({
  extraMessage: { images: [{ image_url: { url: 'data:image/png;base64,AAAA' } }] },
  usage: { prompt_tokens: 1, completion_tokens: 0, cost: 0.01 },
})

/** A body of each operation in which nothing is wrong. */
export const SOUND_BODIES: Record<string, (fileId: string) => Record<string, unknown>> = {
  'POST /chat/completions': () => ({ model: 'test/plain', messages: [{ role: 'user', content: 'hello' }] }),
  'POST /completions': () => ({ model: 'test/plain', prompt: 'hello' }),
  'POST /agent-turns': () => ({ model: 'test/plain', messages: [{ role: 'user', content: 'hello' }] }),
  'POST /embeddings': () => ({ model: 'test/embed', input: 'hello' }),
  'POST /responses': () => ({ model: 'test/plain', input: 'hello' }),
  'POST /responses/input_tokens': () => ({ model: 'test/plain', input: 'hello' }),
  'POST /images/generations': () => ({ model: 'test/draw', prompt: DRAWING }),
  'POST /agent-tool-batches/plan': () => ({ schema_version: 1, tool_calls: [] }),
  'POST /videos': () => ({ model: 'test/film', prompt: fakePrompt({ video: { polls: [{ status: 'failed' }] } }) }),
  'POST /estimate': () => ({ model: 'test/plain', messages: [{ role: 'user', content: 'hello' }] }),
  'POST /model-recommendations': () => ({ task: 'refactor' }),
  'POST /platform/auth/trial/vscode': () => ({
    extension_version: '1.0.0',
    installation_id_hash: randomUUID(),
    machine_id_hash: randomUUID(),
  }),
  'POST /batches': fileId => ({ input_file_id: fileId }),
  'POST /account/provider-credentials': () => credentialOf(),
  'PATCH /account/provider-credentials/{credential_id}': () => ({ label: 'test' }),
  'PUT /projects/{project_id}/inference-policy': () => KEEP_ALL,
  'POST /request-history/{request_id}/feedback': () => ({ rating: 1 }),
}
