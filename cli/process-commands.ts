import { Command } from 'commander'
import type { SandboxOptions } from '../sandbox/server.ts'
import { examples, wholeNumber } from './operator/declare.ts'

/** The commands that run until they are told to stop: the whole stack, the demo, or one process. */
export const processCommands = (): Command[] => [
  startCommand(),
  demoCommand(),
  apiCommand(),
  workerCommand(),
  sandboxCommand(),
]

const startCommand = () =>
  new Command('start')
    .description(
      'Run everything on this machine: the API, the workers, and the servers that are not configured elsewhere.',
    )
    .addHelpText('after', examples('npm start', 'PORT=9000 DATA_DIR=/var/lib/ipop ipop start'))
    .action(async () => (await import('./start.ts')).start(process.env))

const demoCommand = () =>
  new Command('demo')
    .description('Run the example batch over the public API, on the running stack or one of its own.')
    .addHelpText('after', examples('npm run demo', 'ipop demo'))
    .action(async () => (await import('./demo/command.ts')).demo(process.env))

const apiCommand = () =>
  new Command('api')
    .description('Run an API process until SIGTERM or SIGINT.')
    .addHelpText('after', examples('PORT=8080 ipop api'))
    .action(async () => (await import('./processes.ts')).runApi(process.env))

const workerCommand = () =>
  new Command('worker')
    .description('Run a worker process until SIGTERM or SIGINT.')
    .argument(
      '<roles...>',
      'control: workflows, relay and reconciler; interactive: turns; model: batches; provider-jobs: videos, made by their providers',
    )
    .addHelpText('after', examples('ipop worker control', 'ipop worker interactive provider-jobs', 'ipop worker model'))
    .action(async (roles: string[]) => (await import('./processes.ts')).runWorkerOf(roles, process.env))

const sandboxCommand = () =>
  new Command('sandbox')
    .description('Run the sandbox model: an OpenAI-compatible server that calls no model and says so.')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', '0 takes a free one', wholeNumber(0, 65_535), 0)
    .option('--word-delay-ms <n>', 'time between the words of a stream', wholeNumber(0, 60_000))
    .option('--reply-delay-ms <n>', 'time before a reply', wholeNumber(0, 3_600_000))
    .addHelpText('after', examples('ipop sandbox --port 8090', 'ipop sandbox --reply-delay-ms 200'))
    .action(async (options: SandboxOptions) => (await import('./processes.ts')).runSandboxModel(options, process.env))
