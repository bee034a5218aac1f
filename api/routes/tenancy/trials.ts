import { Type } from 'typebox'
import { VscodeTrialRequest, VscodeTrialResponse } from '../../../domain/tenancy/trials/trial.schema.ts'
import { servedDefault } from '../../../domain/inference/models/model.service.ts'
import { RENEWAL_HEADER, startTrial } from '../../../domain/tenancy/trials/trial.service.ts'
import { apiKeyOf } from '../../http/auth/api-key.ts'
import { Reply } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

export const trialRoutes = [
  route({
    method: 'POST',
    path: '/platform/auth/trial/vscode',
    auth: 'none',
    summary: 'Start an anonymous trial of the VS Code extension, where trials are enabled',
    description:
      'A key for the default model, with a limit of requests a day (reading is free) and an end. The reply to the ' +
      `first request has a \`${RENEWAL_HEADER}\` header, which is never shown again. Asked again with that header, or ` +
      "with the trial's key, the same trial gets a new key, and the key before is revoked. A machine or installation " +
      'that had a trial is answered with 409 where neither is sent.',
    headers: Type.Object({
      [RENEWAL_HEADER]: Type.Optional(
        Type.String({ maxLength: 255, description: 'The renewal secret that came with the first reply.' }),
      ),
    }),
    takes: json(VscodeTrialRequest),
    gives: json(VscodeTrialResponse),
    handle: async ({ body, clientAddress, header, headers }, deps) => {
      const proof = { apiKey: apiKeyOf(header), renewalSecret: headers[RENEWAL_HEADER] }
      const { trial, renewalSecret } = await startTrial(
        { ...deps, trialModel: servedDefault(deps.catalog) },
        body,
        clientAddress(),
        proof,
      )
      const secret = renewalSecret === undefined ? {} : { [RENEWAL_HEADER]: renewalSecret }
      return new Reply(trial, { headers: { 'cache-control': 'no-store', ...secret } })
    },
  }),
]
