import {
  BatchDetailQuery,
  BatchDetailResponse,
  BatchJob,
  BatchListResponse,
  BatchParams,
  CreateBatchRequest,
  ListBatchesQuery,
} from '../../../domain/work/batches/batch.schema.ts'
import { cancelBatch, createBatch, getBatch, listBatches } from '../../../domain/work/batches/batch.service.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const NOT_FOUND = { 404: 'There is no such batch' }

export const batchRoutes = [
  route({
    method: 'GET',
    path: '/batches',
    auth: 'apiKey',
    summary: 'List your batches, the newest first',
    query: ListBatchesQuery,
    gives: json(BatchListResponse),
    handle: ({ caller, query }, deps) => listBatches(deps, caller, query),
  }),
  route({
    method: 'POST',
    path: '/batches',
    auth: 'apiKey',
    summary: 'Create a batch from an uploaded JSONL file',
    description:
      "Runs the rows of the file in the background at half the token price. A row is a request in OpenAI's form " +
      '(`custom_id`, `method`, `url`, `body`) or the body itself. Answers at once; poll the batch for its progress. ' +
      'With an `Idempotency-Key` header, sending the request again gives the same batch.',
    idempotent: true,
    takes: json(CreateBatchRequest),
    gives: json(BatchJob),
    errors: { 404: 'There is no such file' },
    handle: ({ caller, body, repeatable }, deps) => createBatch(deps, caller, body, repeatable),
  }),
  route({
    method: 'GET',
    path: '/batches/{batch_id}',
    auth: 'apiKey',
    summary: 'Get a batch with a page of its rows',
    params: BatchParams,
    query: BatchDetailQuery,
    gives: json(BatchDetailResponse),
    errors: NOT_FOUND,
    handle: ({ caller, params, query }, deps) => getBatch(deps, caller, params.batch_id, query),
  }),
  route({
    method: 'POST',
    path: '/batches/{batch_id}/cancel',
    auth: 'apiKey',
    summary: 'Cancel a running batch',
    description: 'Calls under way are aborted. Finished rows are in the output file, the others in the error file.',
    params: BatchParams,
    gives: json(BatchJob),
    errors: NOT_FOUND,
    handle: ({ caller, params }, deps) => cancelBatch(deps, caller, params.batch_id),
  }),
]
