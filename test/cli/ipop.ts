import { execFile } from 'node:child_process'
import { builtPath } from '../support/built.ts'

export interface Ended {
  code: number
  stdout: string
  stderr: string
}

/** Runs the command as an operator would: the built program, with nothing in its environment but what is given. */
export function ipop(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const { PATH = '', HOME = '' } = process.env
  return new Promise(resolve => {
    execFile(
      process.execPath,
      [builtPath('cli/main.js'), ...args],
      { env: { PATH, HOME, ...env } },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })
}

/** What the command prints with `--json`. Errors: where it fails. */
export async function ipopJson<Shape>(args: readonly string[], env: Record<string, string>): Promise<Shape> {
  const { code, stdout, stderr } = await ipop([...args, '--json'], env)
  if (code !== 0) throw new Error(`ipop ${args.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout) as Shape
}
