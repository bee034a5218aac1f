import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A figure of the API's metrics endpoint; labels are left out of account. */
export async function apiMetric({ dataDir }, name) {
  const { ports } = JSON.parse(readFileSync(join(dataDir, 'stack.json'), 'utf8'))
  const text = await (await fetch(`http://127.0.0.1:${ports.apiMetrics}/metrics`)).text()
  return Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'm').exec(text)?.[1])
}
