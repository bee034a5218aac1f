import { InvalidArgumentError, type Command } from 'commander'
import type { KeyRow } from '../../domain/tenancy/keys/keys.sql.ts'
import { group, operatorCommand, wholeNumber } from '../operator/declare.ts'
import { operate, type OutputOptions } from '../operator/operator.ts'
import { fields, moment, table } from '../operator/text.ts'

const MOST_REQUESTS_PER_MINUTE = 1_000_000
const MOST_STREAMS = 100_000

export const keysCommand = (): Command => group('keys', 'API keys.', [create(), list(), revoke()])

const service = () => import('../../domain/tenancy/keys/keys.service.ts')

interface CreateOptions extends OutputOptions {
  user: string
  project?: string
  name: string
  models?: string[]
  /** False with --no-external-processing. */
  externalProcessing: boolean
  requestsPerMinute?: number
  concurrentStreams?: number
  expires?: Date
  smokeTest?: boolean
}

const create = () =>
  operatorCommand(
    'create',
    'Make an API key. Its secret is shown once.',
    'ipop keys create --user user_0198… --name laptop',
    'ipop keys create --user user_0198… --project proj_0198… --name bot --models openai/gpt-5-nano,deepseek-v4-flash',
    'ipop keys create --user user_0198… --name ci --requests-per-minute 60 --concurrent-streams 4 --json',
    'ipop keys create --user user_0198… --name demo --expires 2027-01-31',
  )
    .requiredOption('--user <user>', 'id of the user it bills')
    .option('--project <project>', "id of the user's project whose resources it sees")
    .requiredOption('--name <name>', 'what to call it')
    .option('--models <ids>', 'models it may use, by comma; all unless told', modelIds)
    .option('--no-external-processing', "keep its prompts within the operator's own network")
    .option('--requests-per-minute <n>', 'refuse more than this', wholeNumber(1, MOST_REQUESTS_PER_MINUTE))
    .option('--concurrent-streams <n>', 'refuse more streams than this at once', wholeNumber(1, MOST_STREAMS))
    .option('--expires <time>', 'ISO 8601 time after which it is refused', futureTime)
    .option('--smoke-test', 'mark it as a key for smoke tests')
    .action((options: CreateOptions) =>
      operate(options, async deps => {
        const { createApiKey } = await service()
        const { key, secret } = await createApiKey(deps, {
          userId: options.user,
          projectId: options.project,
          name: options.name,
          allowedModels: options.models,
          externalProcessing: options.externalProcessing,
          requestsPerMinute: options.requestsPerMinute,
          concurrentStreams: options.concurrentStreams,
          expiresAt: options.expires,
          smokeTest: options.smokeTest,
        })
        return { text: `${describe(key, secret)}\n\n${SHOWN_ONCE}`, json: { ...view(key), secret } }
      }),
    )

const SHOWN_ONCE = 'This is the only time the secret is shown: only its hash is stored, so keep it now.'

const list = () =>
  operatorCommand(
    'list',
    'List keys; secrets are never shown again.',
    'ipop keys list',
    'ipop keys list --user user_0198…',
  )
    .option('--user <user>', 'only those of this user')
    .action((options: OutputOptions & { user?: string }) =>
      operate(options, async deps => {
        const keys = await (await service()).listApiKeys(deps, options.user)
        const rows = keys.map(key => [
          key.id,
          key.hint,
          key.user_id,
          key.project_id ?? '-',
          key.name,
          stateOf(key),
          limitsOf(key),
        ])
        return { text: table(['ID', 'ENDS', 'USER', 'PROJECT', 'NAME', 'STATE', 'LIMITS'], rows), json: keys.map(view) }
      }),
    )

const revoke = () =>
  operatorCommand(
    'revoke',
    'Refuse the key everywhere at once. Jobs that it started go on.',
    'ipop keys revoke key_0198…',
  )
    .argument('<key>', 'id of the key')
    .action((key: string, options: OutputOptions) =>
      operate(options, async deps => {
        const revoked = await (await service()).revokeApiKey(deps, key)
        return { text: describe(revoked), json: view(revoked) }
      }),
    )

function modelIds(text: string): string[] {
  const ids = text.split(',').map(id => id.trim())
  if (ids.every(id => id !== '')) return [...new Set(ids)]
  throw new InvalidArgumentError('It must be model ids with commas between them.')
}

function futureTime(text: string): Date {
  const time = new Date(/^\d{4}-\d{2}-\d{2}/.test(text) ? text : Number.NaN)
  if (Number.isNaN(time.getTime()))
    throw new InvalidArgumentError('It must be a time such as 2027-01-31 or 2027-01-31T12:00:00Z.')
  if (time.getTime() <= Date.now()) throw new InvalidArgumentError('It must be in the future.')
  return time
}

function stateOf(key: KeyRow): string {
  if (key.revoked_at !== null) return `revoked ${moment(key.revoked_at)}`
  if (key.expires_at === null) return 'active'
  return `${key.expires_at.getTime() <= Date.now() ? 'expired' : 'active until'} ${moment(key.expires_at)}`
}

function limitsOf(key: KeyRow): string {
  const limits = [
    key.allowed_models === null ? undefined : `models ${key.allowed_models.join(',')}`,
    key.external_processing ? undefined : 'no external processing',
    key.requests_per_minute === null ? undefined : `${key.requests_per_minute} requests a minute`,
    key.concurrent_streams === null ? undefined : `${key.concurrent_streams} streams at once`,
    key.requests_per_day === null ? undefined : `${key.requests_per_day} requests a day`,
    key.smoke_test ? 'smoke test' : undefined,
  ]
  return limits.filter(limit => limit !== undefined).join('; ') || 'none'
}

function describe(key: KeyRow, secret?: string): string {
  return fields([
    ['Key', key.id],
    ['Secret', secret ?? `ends in ${key.hint}`],
    ['Name', key.name],
    ['User', key.user_id],
    ['Project', key.project_id ?? '-'],
    ['State', stateOf(key)],
    ['Limits', limitsOf(key)],
  ])
}

const view = (key: KeyRow) => ({
  id: key.id,
  hint: key.hint,
  name: key.name,
  user_id: key.user_id,
  project_id: key.project_id,
  allowed_models: key.allowed_models,
  external_processing: key.external_processing,
  requests_per_minute: key.requests_per_minute,
  concurrent_streams: key.concurrent_streams,
  requests_per_day: key.requests_per_day,
  smoke_test: key.smoke_test,
  expires_at: key.expires_at,
  created_at: key.created_at,
  revoked_at: key.revoked_at,
})
