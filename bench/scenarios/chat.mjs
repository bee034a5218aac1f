import { goal, median, ratio } from '../figures.mjs'
import { alternate, peakMb, rowsOf } from '../rounds.mjs'
import { withTargets } from '../targets.mjs'

const CONNECTIONS = [8, 32, 128]
const SECONDS = 4

export const title = 'Chat, not streamed: a reply of 60 tokens'

export async function run(context) {
  const seconds = context.seconds ?? SECONDS
  return await withTargets(context, async targets => {
    const seen = {}
    for (const connections of CONNECTIONS) {
      context.log(`${connections} connections`)
      seen[connections] = await alternate(targets, { connections }, { ...context, seconds })
    }
    return { rows: CONNECTIONS.flatMap(connections => rowsAt(connections, seen[connections])), goals: goalsOf(seen) }
  })
}

const rowsAt = (connections, seen) =>
  rowsOf(seen).map(({ target, ...figures }) => ({ target, connections, ...figures }))

function goalsOf(seen) {
  const times = (connections, other) =>
    seen[connections][other] && ratio(seen[connections].ipop, seen[connections][other], 'requests_per_second')
  const p50 = name => median(seen[8][name].map(sample => sample.p50_ms))
  const peak = Math.max(...CONNECTIONS.map(connections => peakMb(seen[connections].ipop)))
  return [
    goal('requests/s of Portkey, at 32: at least 5x', times(32, 'portkey'), { least: 5 }),
    goal('requests/s of LiteLLM, at 32: at least 30x', times(32, 'litellm'), { least: 30 }),
    goal('requests/s of the bare pass-through, at 32: at least 0.5x', times(32, 'pass-through'), { least: 0.5 }),
    goal('requests/s of the bare pass-through, at 128: at least 0.7x', times(128, 'pass-through'), { least: 0.7 }),
    goal('p50 over the bare pass-through, at 8: under 2 ms', p50('ipop') - p50('pass-through'), { below: 2 }),
    goal('peak memory of the API process: under 200 MB', peak, { below: 200 }),
  ]
}
