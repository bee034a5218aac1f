import { createServer } from 'node:net'
import { ConfigError } from '../infra/config.ts'

/** Undefined where the port can be listened on, else a sentence that says why not and which variable chose it. */
function whyNotFree(host: string, port: number, variable = 'PORT'): Promise<string | undefined> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(sentenceOf(error, host, port, variable)))
    server.listen(port, host, () => server.close(() => resolve(undefined)))
  })
}

function sentenceOf({ code, message }: NodeJS.ErrnoException, host: string, port: number, variable: string): string {
  if (code === 'EADDRINUSE')
    return `Port ${port} of ${host} is in use: stop what listens there, or set ${variable} to another one.`
  if (code === 'EACCES') return `Port ${port} is not allowed to this user: set ${variable} to one from 1024 on.`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `HOST is ${host}, which is no address of this machine.`
  return `Port ${port} of ${host} (${variable}) cannot be listened on: ${message}.`
}

/** Errors: ConfigError for the first of these that cannot be listened on, by the variable that chose it. */
export async function requireFree(host: string, ports: Record<string, number>): Promise<void> {
  for (const [variable, port] of Object.entries(ports)) {
    const problem = await whyNotFree(host, port, variable)
    if (problem !== undefined) throw new ConfigError(problem)
  }
}

export interface KeptPorts {
  /** The port of that name, kept from an earlier run where it is free, else another free one. */
  take(name: string): Promise<number>
}

/** Ports of a stack by name, which are kept in `ports`. One is taken after the other, so that none is given twice. */
export function keepPorts(host: string, ports: Record<string, number>): KeptPorts {
  let last: Promise<unknown> = Promise.resolve()
  const takeNow = async (name: string) => {
    const others = Object.entries(ports).filter(([other]) => other !== name)
    const port = await keptPort(host, ports[name], new Set(others.map(([, taken]) => taken)))
    ports[name] = port
    return port
  }
  return {
    take: name => {
      const port = last.then(() => takeNow(name))
      last = port.catch(() => undefined)
      return port
    },
  }
}

async function keptPort(host: string, kept: number | undefined, others: ReadonlySet<number>): Promise<number> {
  if (kept !== undefined && !others.has(kept) && (await whyNotFree(host, kept)) === undefined) return kept
  for (;;) {
    const port = await anyPort(host)
    if (!others.has(port)) return port
  }
}

function anyPort(host: string): Promise<number> {
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

const EVERY_ADDRESS: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Where this machine reaches what listens there. */
export function urlOf(host: string, port: number): string {
  const reachable = EVERY_ADDRESS[host] ?? host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
