import type { Command } from 'commander'
import type { Rotation } from '../../domain/inference/provider-credentials/rotation.ts'
import { group, operatorCommand } from '../operator/declare.ts'
import { operate, type OutputOptions } from '../operator/operator.ts'

export const secretsCommand = (): Command => group('secrets', 'What is sealed at rest.', [rotate()])

const rotate = () =>
  operatorCommand(
    'rotate',
    'Seal every stored provider key under the first key of SECRETS_KEY. Exits 1 where one cannot be opened.',
    'SECRETS_KEY=k2:…,k1:… ipop secrets rotate',
    'ipop secrets rotate --json',
  ).action((options: OutputOptions) =>
    operate(options, async ({ config, db }) => {
      const { requireSecretsKeys } = await import('../../infra/config.ts')
      const { createSecretBox } = await import('../../infra/crypto/sealing.ts')
      const { rotateSecrets } = await import('../../domain/inference/provider-credentials/rotation.ts')
      const secrets = createSecretBox(requireSecretsKeys(config))
      const rotation = await rotateSecrets({ db, secrets })
      if (rotation.unopenable.length > 0) process.exitCode = 1
      return { text: describe(rotation), json: rotation }
    }),
  )

const describe = ({ secrets_key: key, resealed, unchanged, unopenable }: Rotation): string =>
  [
    `Sealed ${resealed} under ${key}; ${unchanged} had been before.`,
    ...unopenable.map(id => `FAIL  ${id}: no key of SECRETS_KEY opens it`),
  ].join('\n')
