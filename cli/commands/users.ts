import type { Command } from 'commander'
import type { UserRow } from '../../domain/tenancy/users/user.sql.ts'
import { group, operatorCommand, wholeNumber } from '../operator/declare.ts'
import { operate, type OutputOptions } from '../operator/operator.ts'
import { fields, moment, table } from '../operator/text.ts'

export const usersCommand = (): Command =>
  group('users', 'Billing accounts.', [create(), list(), disable(), enable(), quota()])

const service = () => import('../../domain/tenancy/accounts/account.service.ts')
const userService = () => import('../../domain/tenancy/users/user.service.ts')

const create = () =>
  operatorCommand('create', 'Make a user: a billing account without credit.', 'ipop users create --name "Acme GmbH"')
    .requiredOption('--name <name>', 'what to call it')
    .action((options: OutputOptions & { name: string }) =>
      operate(options, async deps => shown(await (await service()).createUser(deps, options.name))),
    )

const list = () =>
  operatorCommand('list', 'List all users.', 'ipop users list', 'ipop users list --json').action(
    (options: OutputOptions) =>
      operate(options, async deps => {
        const users = await (await userService()).listUsers(deps)
        const rows = users.map(user => [user.id, user.name, stateOf(user), moment(user.created_at)])
        return { text: table(['ID', 'NAME', 'STATE', 'CREATED'], rows), json: users.map(view) }
      }),
  )

const disable = () =>
  operatorCommand(
    'disable',
    "Refuse the user's keys at once and stop the user's jobs.",
    'ipop users disable user_0198…',
  )
    .argument('<user>', 'id of the user')
    .action((user: string, options: OutputOptions) =>
      operate(options, async deps => shown(await (await service()).disableUser(deps, user))),
    )

const enable = () =>
  operatorCommand('enable', "Take the user's keys again.", 'ipop users enable user_0198…')
    .argument('<user>', 'id of the user')
    .action((user: string, options: OutputOptions) =>
      operate(options, async deps => shown(await (await service()).enableUser(deps, user))),
    )

const MIB = 1024 * 1024

const quota = () =>
  operatorCommand(
    'quota',
    'Tell what a user keeps and may keep, or set it.',
    'ipop users quota user_0198…',
    'ipop users quota user_0198… --mb 4096',
    'ipop users quota user_0198… --default',
  )
    .argument('<user>', 'id of the user')
    .option('--mb <n>', 'a quota of its own, in MiB', wholeNumber(0, 1_000_000_000))
    .option('--default', "the deployment's quota again")
    .action((user: string, options: OutputOptions & { mb?: number; default?: boolean }) =>
      operate(options, async ({ db, config }) => {
        const { setStorageQuota, storageOf } = await import('../../domain/tenancy/storage/storage.service.ts')
        if (options.default === true) await setStorageQuota({ db }, user, null)
        else if (options.mb !== undefined) await setStorageQuota({ db }, user, BigInt(options.mb) * BigInt(MIB))
        const { usedBytes, quotaBytes, isOwnQuota } = await storageOf({ db, quotas: config.storage.quotas }, user)
        return {
          text: fields([
            ['User', user],
            ['Keeps', `${usedBytes} bytes`],
            ['May keep', `${quotaBytes} bytes${isOwnQuota ? '' : ' (the default)'}`],
          ]),
          json: {
            user_id: user,
            used_bytes: Number(usedBytes),
            quota_bytes: Number(quotaBytes),
            own_quota: isOwnQuota,
          },
        }
      }),
    )

const stateOf = (user: UserRow): string =>
  user.disabled_at === null ? 'active' : `disabled ${moment(user.disabled_at)}`

const view = (user: UserRow) => ({
  id: user.id,
  name: user.name,
  created_at: user.created_at,
  disabled_at: user.disabled_at,
})

const shown = (user: UserRow) => ({
  text: fields([
    ['User', user.id],
    ['Name', user.name],
    ['State', stateOf(user)],
  ]),
  json: view(user),
})
