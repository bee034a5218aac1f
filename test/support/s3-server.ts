import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, mkdir, rm } from 'node:fs/promises'
import { freePort } from './free-port.ts'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { HANGS_AFTER_MS } from './until.ts'
import { findVersitygw } from './versitygw.ts'

export interface S3Server {
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** Ends the server and removes its data. */
  stop(): Promise<void>
}

const ATTEMPTS = 3
const CREDENTIALS = { region: 'us-east-1', accessKeyId: 'test', secretAccessKey: 'test-secret' }

/**
 * A real S3 server (versitygw) over a temporary folder, on a free port. Errors: one sentence where its program can
 * neither be found nor built, or where it does not start.
 */
export async function startS3Server(): Promise<S3Server> {
  const program = await findVersitygw()
  const folder = await mkdtemp(join(tmpdir(), 'ipop-s3-'))
  // Another process can take the free port before the server does.
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    try {
      const server = await startOn(program, folder, port)
      return { endpoint: `http://127.0.0.1:${port}`, ...CREDENTIALS, stop: () => stop(server, folder) }
    } catch (error) {
      if (attempt < ATTEMPTS) continue
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }
}

/** Ends the server also when this process is killed: then the pipe to its standard input closes. */
const SUPERVISE = 'exec 3<&0; "$@" & server=$!; (cat <&3 >/dev/null; kill -9 $server) 2>/dev/null & wait $server'

async function startOn(program: string, folder: string, port: number): Promise<ChildProcess> {
  // Metadata beside the data, not in extended attributes, which not every temporary folder has.
  for (const name of ['data', 'metadata']) await mkdir(join(folder, name), { recursive: true })
  const args = ['--port', `127.0.0.1:${port}`, '--health', '/health', '--keep-alive', '--quiet', 'posix']
  args.push('--sidecar', join(folder, 'metadata'), join(folder, 'data'))
  const { accessKeyId, secretAccessKey } = CREDENTIALS
  const server = spawn('/bin/sh', ['-c', SUPERVISE, 'sh', program, ...args], {
    env: { PATH: process.env['PATH'], ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  await answering(server, `http://127.0.0.1:${port}/health`)
  return server
}

async function answering(server: ChildProcess, url: string): Promise<void> {
  let complaint = ''
  server.stderr?.on('data', (text: Buffer) => (complaint = (complaint + text.toString()).slice(-500)))
  const ended = once(server, 'exit').then(() => 'ended')
  const deadline = Date.now() + HANGS_AFTER_MS
  while (Date.now() < deadline) {
    if (await isAnswering(url)) return
    if ((await Promise.race([ended, delay(25)])) === 'ended') throw new Error(`versitygw ended: ${complaint.trim()}`)
  }
  server.stdin?.end()
  throw new Error(`versitygw did not answer within ${HANGS_AFTER_MS / 1000} s: ${complaint.trim()}`)
}

async function isAnswering(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok
  } catch {
    return false
  }
}

async function stop(server: ChildProcess, folder: string): Promise<void> {
  if (server.exitCode === null && server.signalCode === null) {
    server.stdin?.end()
    await once(server, 'exit')
  }
  await rm(folder, { recursive: true, force: true })
}
