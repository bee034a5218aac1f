import type { Command } from 'commander'
import type { ProjectRow } from '../../domain/tenancy/projects/project.sql.ts'
import { group, operatorCommand } from '../operator/declare.ts'
import { operate, type OutputOptions } from '../operator/operator.ts'
import { fields, moment, table } from '../operator/text.ts'

export const projectsCommand = (): Command =>
  group('projects', "Projects of a user: keys of one see each other's resources.", [create(), list()])

const service = () => import('../../domain/tenancy/projects/project.service.ts')

const create = () =>
  operatorCommand('create', 'Make a project.', 'ipop projects create --user user_0198… --name support-bot')
    .requiredOption('--user <user>', 'id of the user it belongs to')
    .requiredOption('--name <name>', 'what to call it')
    .action((options: OutputOptions & { user: string; name: string }) =>
      operate(options, async deps => shown(await (await service()).createProject(deps, options.user, options.name))),
    )

const list = () =>
  operatorCommand('list', 'List projects.', 'ipop projects list', 'ipop projects list --user user_0198… --json')
    .option('--user <user>', 'only those of this user')
    .action((options: OutputOptions & { user?: string }) =>
      operate(options, async deps => {
        const projects = await (await service()).listProjects(deps, options.user)
        const rows = projects.map(project => [project.id, project.user_id, project.name, moment(project.created_at)])
        return { text: table(['ID', 'USER', 'NAME', 'CREATED'], rows), json: projects.map(view) }
      }),
    )

const view = (project: ProjectRow) => ({
  id: project.id,
  user_id: project.user_id,
  name: project.name,
  created_at: project.created_at,
})

const shown = (project: ProjectRow) => ({
  text: fields([
    ['Project', project.id],
    ['User', project.user_id],
    ['Name', project.name],
  ]),
  json: view(project),
})
