import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CLI_VERSION } from './temporal-cli-build.ts'

/** Documented at https://docs.temporal.io/cli/setup-cli. */
const OFFICIAL = `https://temporal.download/cli/archive/${CLI_VERSION}`
const PROGRESS_WITHIN_MS = 10_000
const PRINT_EVERY_MS = 15_000
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }

interface Download {
  printLine: (line: string) => void
  signal: AbortSignal
  downloadUrl?: string
}

/**
 * Downloads the Temporal CLI to the target, which is whole or absent. Undefined where it worked, else why not; ten
 * seconds without progress end it.
 */
export async function downloadCli(
  { printLine, signal, downloadUrl = OFFICIAL }: Download,
  target: string,
  runs: (path: string) => boolean,
): Promise<string | undefined> {
  const folder = mkdtempSync(join(dirname(target), 'download-'))
  const stalled = new AbortController()
  const waiting = setTimeout(() => stalled.abort(), PROGRESS_WITHIN_MS)
  printLine(`Downloading the Temporal CLI ${CLI_VERSION} …`)
  try {
    const archive = await request(downloadUrl, AbortSignal.any([signal, stalled.signal]))
    const progress = printProgress(archive, printLine, () => waiting.refresh())
    await unpack(archive, folder).finally(() => clearInterval(progress))
    const binary = join(folder, 'temporal')
    chmodSync(binary, 0o755)
    if (!runs(binary)) return 'what came does not run here'
    renameSync(binary, target)
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    return stalled.signal.aborted ? 'no reply within 10 seconds' : reasonOf(error)
  } finally {
    clearTimeout(waiting)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function request(url: string, signal: AbortSignal): Promise<Readable> {
  const platform = `platform=${process.platform}&arch=${ARCHITECTURES[process.arch] ?? process.arch}`
  const reply = await fetch(`${url}?${platform}`, { signal })
  if (!reply.ok || reply.body === null) throw new Error(`status ${reply.status}`)
  return Readable.fromWeb(reply.body)
}

function printProgress(archive: Readable, printLine: (line: string) => void, progressed: () => void): NodeJS.Timeout {
  let bytes = 0
  archive.on('data', (part: Uint8Array) => {
    bytes += part.byteLength
    progressed()
  })
  return setInterval(() => printLine(`  ${Math.round(bytes / 1e6)} MB so far …`), PRINT_EVERY_MS)
}

async function unpack(archive: Readable, folder: string): Promise<void> {
  const tar = spawn('tar', ['-xz', '-C', folder, 'temporal'], { stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = new Promise<void>((resolve, reject) => {
    tar.once('error', reject)
    tar.once('exit', code => (code === 0 ? resolve() : reject(new Error('the archive is broken'))))
  })
  await Promise.all([pipeline(archive, tar.stdin), ended])
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message
}
