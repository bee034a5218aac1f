import { createServer } from 'node:net'

/** Whether the port can be listened on. */
export function isFree(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}

/** The port kept from an earlier run where it is free, else a free one. */
export async function keptPort(host: string, kept: number | undefined): Promise<number> {
  if (kept !== undefined && (await isFree(host, kept))) return kept
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}
