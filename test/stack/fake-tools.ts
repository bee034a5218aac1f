import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A program that answers any argument, as `temporal --version` does. */
export const WORKING_CLI = '#!/bin/sh\necho temporal version 1\n'
export const BROKEN_CLI = '#!/bin/sh\nexit 1\n'

export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'ipop-tools-'))

export function program(folder: string, name: string, text: string): string {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, name)
  writeFileSync(path, text)
  chmodSync(path, 0o755)
  return path
}

/** A Go that takes a while to "build" the CLI, and notes each time. */
export const fakeGo = (notes: string): string => `#!/bin/sh
PATH=/usr/bin:/bin
[ "$1" = version ] && exit 0
echo built >> "${notes}"
sleep 0.3
printf '#!/bin/sh\\nexit 0\\n' > "$GOBIN/temporal"
chmod 755 "$GOBIN/temporal"
`

/** The archive of the CLI as the download site packs it. */
export function archiveOf(cli: string): Buffer {
  const folder = newFolder()
  program(folder, 'temporal', cli)
  const archive = execFileSync('tar', ['-cz', '-C', folder, 'temporal'])
  rmSync(folder, { recursive: true })
  return archive
}

export interface DownloadSite {
  url: string
  asked: string[]
  close(): void
}

export async function downloadSite(status: number, body: Buffer | string): Promise<DownloadSite> {
  const asked: string[] = []
  const server: Server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(status).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/archive`, asked, close: () => server.close() }
}
