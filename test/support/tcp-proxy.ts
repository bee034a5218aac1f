import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface TcpProxy {
  /** The address that was given, by way of the proxy. */
  url: string
  /** Connections that are open now stay so, and nothing goes through them any more, in either direction. */
  freeze(): void
  /** Ends the connections that are open, and all that are made until it is mended. */
  cut(): void
  mend(): void
  /** How many connections were ended as they were made. */
  refused(): number
  /** What has come back from the server. */
  answeredBytes(): number
  close(): void
}

/** Stands between a program and the server of a URL, as a network does that forgets connections. */
export async function tcpProxy(url: string): Promise<TcpProxy> {
  const target = new URL(url)
  const open = new Set<Socket>()
  let answeredBytes = 0
  let isCut = false
  let refused = 0
  const server = createServer(near => {
    if (isCut) {
      refused += 1
      near.on('error', () => undefined).resetAndDestroy()
      return
    }
    const far = connect(Number(target.port), target.hostname)
    for (const socket of [near, far]) {
      open.add(socket)
      socket.on('error', () => undefined)
    }
    far.on('data', (part: Buffer) => (answeredBytes += part.length))
    near.pipe(far)
    far.pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String((server.address() as AddressInfo).port)
  return {
    url: through.href,
    cut: () => {
      isCut = true
      open.forEach(socket => socket.destroy())
    },
    mend: () => void (isCut = false),
    refused: () => refused,
    freeze: () => open.forEach(socket => socket.unpipe().pause()),
    answeredBytes: () => answeredBytes,
    close: () => {
      server.close()
      open.forEach(socket => socket.destroy())
    },
  }
}
