import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** What the bench builds and installs, and the logs of what it runs. */
export const CACHE = fileURLToPath(new URL('../node_modules/.cache/ipop-bench/', import.meta.url))

const STOP_WITHIN_MS = 20_000
const running = new Set()

/** Resolves when everything that was started has ended. */
export const stopChildren = () => Promise.all([...running].map(({ stop }) => stop()))

process.on('exit', () => running.forEach(({ child }) => child.kill('SIGTERM')))

export async function freePort() {
  const server = createServer()
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

/** A child that ends with this process at the latest, and in order by `stop`. */
export function startChild(command, args, options) {
  const child = spawn(command, args, options)
  const ended = new Promise(resolve => {
    child.once('error', error => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`))
  })
  const stop = async (signal = 'SIGTERM') => {
    child.kill(signal)
    const killing = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
    await ended
    clearTimeout(killing)
  }
  const started = { child, ended, stop }
  running.add(started)
  void ended.then(() => running.delete(started))
  return started
}

/** A server with its log in the cache folder; resolves once it answers at its address, whatever it answers. */
export async function startServer({ name, command, args, env = {}, url, startTimeoutMs = 120_000 }) {
  mkdirSync(CACHE, { recursive: true })
  const log = `${CACHE}${name}.log`
  const descriptor = openSync(log, 'w')
  const { child, ended, stop } = startChild(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', descriptor, descriptor],
  })
  closeSync(descriptor)
  const giveUp = AbortSignal.timeout(startTimeoutMs)
  const failure = await Promise.race([ended, answers(url, giveUp)])
  if (failure === undefined) return { pid: child.pid, stop }
  await stop()
  throw new Error(`${name} did not start (${failure}): ${readFileSync(log, 'utf8').trim().slice(-500)}`)
}

async function answers(url, signal) {
  while (!signal.aborted) {
    if (await fetch(url, { signal }).catch(() => undefined)) return undefined
    await delay(100)
  }
  return 'it does not answer'
}
