import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const CONFIGURATION = [
  'package.json',
  'tsconfig.json',
  'knip.json',
  '.oxlintrc.json',
  '.prettierrc.json',
  '.prettierignore',
  'scripts/tsconfig.json',
  'scripts/lint/plugin.mjs',
  'scripts/lint/areas.mjs',
  'scripts/lint/folders.mjs',
  'scripts/lint/imports.mjs',
]

export type Outcome = { exitCode: number; stdout: string; stderr: string }

/** A project beside this one with the same configuration and tools, and other sources: for deliberate violations. */
export class Overlay {
  private readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** @param sources the text of each file, by its path in the project */
  static async create(sources: Readonly<Record<string, string>>): Promise<Overlay> {
    const overlay = new Overlay(await mkdtemp(join(tmpdir(), 'ipop-check-')))
    await overlay.linkDependencies()
    for (const path of CONFIGURATION) await cp(join(PROJECT, path), join(overlay.folder, path))
    for (const [path, text] of Object.entries(sources)) await overlay.write(path, text)
    return overlay
  }

  /** Runs a script of package.json, as `npm run check` does. */
  async run(script: string, ...args: string[]): Promise<Outcome> {
    const command = ['run', '--silent', script, '--', ...args]
    return new Promise(done => {
      execFile('npm', command, { cwd: this.folder, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        const exitCode = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1
        done({ exitCode, stdout, stderr })
      })
    })
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  private async write(path: string, text: string): Promise<void> {
    const target = resolve(this.folder, path)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, text)
  }

  /** Each dependency is linked by itself: the tools' caches in node_modules/.cache stay this overlay's own. */
  private async linkDependencies(): Promise<void> {
    const modules = join(this.folder, 'node_modules')
    await mkdir(modules)
    const names = (await readdir(join(PROJECT, 'node_modules'))).filter(name => name !== '.cache')
    await Promise.all(names.map(name => symlink(join(PROJECT, 'node_modules', name), join(modules, name))))
  }
}
