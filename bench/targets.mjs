import * as litellm from './peers/litellm.mjs'
import * as passThrough from './peers/pass-through.mjs'
import * as portkey from './peers/portkey.mjs'

const PEERS = [passThrough, portkey, litellm]
/** Their errors are shown; everybody else's end the scenario. */
const UNTRUSTED = [portkey.name, litellm.name]

/**
 * Runs the mock itself, the peers and this API side by side, over one mock. When `work` is done the books of this API
 * must be clean. A target is { name, ask (options of the load generator), pids by name }.
 */
export async function withTargets({ mockUrl, startStack, log }, work) {
  const stops = []
  try {
    const targets = [{ name: 'mock', ask: { url: mockUrl }, pids: {} }]
    for (const peer of PEERS) {
      const target = await startPeer(peer, mockUrl, stops, log)
      if (target !== undefined) targets.push(target)
    }
    const stack = await startStack(mockUrl)
    stops.push(stack.stop)
    const { api, postgres } = stack.pids
    targets.push({ name: 'ipop', ask: { url: stack.url, key: stack.key }, pids: { api, postgres } })
    const result = await work(targets)
    await stack.ipop('ledger', 'verify')
    log('ledger verify: clean')
    return result
  } finally {
    await Promise.all(stops.map(stop => stop()))
  }
}

/** A peer that cannot be installed or started is left out, and told. */
async function startPeer(peer, mockUrl, stops, log) {
  try {
    const { url, headers = [], key = 'none', pid, stop } = await peer.start(mockUrl)
    stops.push(() => stop())
    return { name: peer.name, ask: { url, key, header: headers }, pids: { api: pid } }
  } catch (error) {
    log(`${peer.name} is left out: ${String(error.message).slice(0, 500)}`)
    return undefined
  }
}

/** Errors: where a target that must be right was not. */
export function requireRight(seen) {
  for (const name of Object.keys(seen).filter(other => !UNTRUSTED.includes(other))) {
    const wrong = seen[name].find(sample => sample.errors > 0)
    if (wrong !== undefined)
      throw new Error(`${name}: ${wrong.errors} replies were wrong, the first: ${wrong.first_error}`)
  }
}
