import { existsSync } from 'node:fs'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from './program.ts'

/** A client as people install it, pinned. */
interface ClientPackage {
  name: string
  version: string
  /** Makes it in an empty folder. */
  install: (folder: string) => Promise<void>
  /** Its program in that folder. */
  program: string
}

const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ipop', 'clients')
const FOLDER = process.env['IPOP_CLIENTS_DIR'] || CACHE

const NPM_OPTIONS = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']

/** From npm. Install scripts are run by name, not by whatever the npm at hand allows. */
const npmClient = (name: string, version: string, program: string, scripts: string[] = []): ClientPackage => ({
  name,
  version,
  program: join('node_modules', '.bin', program),
  install: async folder => {
    await writeFile(join(folder, 'package.json'), '{"private":true}')
    await step('npm', ['install', ...NPM_OPTIONS, `${name}@${version}`], folder)
    for (const script of scripts) await step(process.execPath, [join('node_modules', script)], folder)
  },
})

/** From PyPI, in an environment of its own. */
const pythonClient = (name: string, version: string, program: string): ClientPackage => ({
  name,
  version,
  program: join('bin', program),
  install: async folder => {
    await step('python3', ['-m', 'venv', folder], folder)
    await step(join(folder, 'bin', 'pip'), ['install', '--quiet', `${name}==${version}`], folder)
  },
})

const PYTHON_3_10 = 'import sys; assert sys.version_info >= (3, 10), "Python 3.10 or later is needed"'

/** Libraries from PyPI in an environment of their own, which its Python stands for. */
const pythonLibraries = (name: string, version: string, packages: string[]): ClientPackage => ({
  name,
  version,
  program: join('bin', 'python'),
  install: async folder => {
    await step('python3', ['-c', PYTHON_3_10], folder)
    await step('python3', ['-m', 'venv', folder], folder)
    const options = ['--quiet', '--disable-pip-version-check', '--no-compile']
    await step(join(folder, 'bin', 'pip'), ['install', ...options, ...packages], folder)
  },
})

/** Libraries from npm: a script that imports them has to lie in their folder, where Node itself is the program. */
const npmLibraries = (name: string, version: string, packages: string[]): ClientPackage => ({
  name,
  version,
  program: 'node',
  install: async folder => {
    await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
    await step('npm', ['install', ...NPM_OPTIONS, ...packages], folder)
    await symlink(process.execPath, join(folder, 'node'))
  },
})

export const AI_SDK = npmLibraries('ai-sdk', '6.0.326', [
  'ai@6.0.326',
  '@ai-sdk/openai@3.0.141',
  '@ai-sdk/openai-compatible@2.0.92',
  'zod@4.6.7',
])
export const LANGCHAIN = pythonLibraries('langchain-openai', '1.7.4', ['langchain-openai==1.7.4', 'openai==3.57.0'])
export const AGENTS = pythonLibraries('openai-agents', '0.24.0', ['openai-agents==0.24.0', 'openai==3.57.0'])
export const PYDANTIC_AI = pythonLibraries('pydantic-ai', '2.68.0', [
  'pydantic-ai-slim[openai]==2.68.0',
  'openai==3.57.0',
])
export const LITELLM = pythonLibraries('litellm', '1.110.2', ['litellm==1.110.2', 'openai==3.57.0'])
export const OPENCODE = npmClient('opencode-ai', '1.18.33', 'opencode', ['opencode-ai/postinstall.mjs'])
export const CODEX = npmClient('@openai/codex', '0.169.0', 'codex')
export const HERMES = pythonClient('hermes-agent', '0.19.0', 'hermes')

async function step(command: string, args: string[], cwd: string): Promise<void> {
  const { code, output } = await runProgram(command, args, { cwd, env: process.env })
  if (code !== 0) throw new Error(`${command} ${args[0]}: ${lastLine(output)}`)
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? ''

/** `folder`: where the package and what it needs are. */
export type Installed = { program: string; folder: string } | { missing: string }

/** Installs it where it is not yet; says why it cannot be had on this machine. */
export async function installed({ name, version, install, program }: ClientPackage): Promise<Installed> {
  const folder = join(FOLDER, `${name.replaceAll(/[@/]/g, '')}-${version}`)
  try {
    if (!existsSync(join(folder, 'whole'))) {
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true })
      process.stderr.write(`Installing ${name} ${version} into ${folder} …\n`)
      await install(folder)
    }
    const { code, output } = await runProgram(join(folder, program), ['--version'], { cwd: folder, env: process.env })
    if (code !== 0) throw new Error(`it does not run here: ${lastLine(output)}`)
    await writeFile(join(folder, 'whole'), '')
    return { program: join(folder, program), folder }
  } catch (error) {
    const missing = error instanceof Error ? error.message : String(error)
    process.stderr.write(`The tests with ${name} are skipped: ${missing}\n`)
    return { missing }
  }
}
