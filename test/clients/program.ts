import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Ended {
  code: number | null
  stdout: string
  output: string
}

/** Runs a program to its end, with nothing to read. */
export async function runProgram(
  command: string,
  args: string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Ended> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, output] = ['', '']
  child.stdout.on('data', (part: Buffer) => {
    stdout += part.toString()
    output += part.toString()
  })
  child.stderr.on('data', (part: Buffer) => void (output += part.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, output }
}
