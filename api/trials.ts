import { VscodeTrialRequest, VscodeTrialResponse } from '../domain/trials/trial.schema.ts'
import { startTrial } from '../domain/trials/trial.service.ts'
import { Reply, route } from './http/route.ts'

export const trialRoutes = [
  route({
    method: 'POST',
    path: '/platform/auth/trial/vscode',
    auth: 'none',
    summary: 'Start an anonymous trial of the VS Code extension, where trials are enabled',
    description:
      'A key for the default model, with a limit of requests a day (reading is free) and an end. Asked again by the ' +
      'same installation or machine, the same trial gets a new key, and the key before is revoked.',
    body: VscodeTrialRequest,
    reply: VscodeTrialResponse,
    handle: async ({ body, clientAddress }, deps) =>
      new Reply(await startTrial(deps, body, clientAddress()), { headers: { 'cache-control': 'no-store' } }),
  }),
]
