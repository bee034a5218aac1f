import { condition, defineSignal, proxyActivities, setHandler } from '@temporalio/workflow'
import type { ProbeActivities } from './probe.job.ts'

const steps = proxyActivities<ProbeActivities>({ taskQueue: 'probe', startToCloseTimeout: '1 minute' })

/** Waits until it is told a word, then ends with it. */
export async function probe({ probeId }: { probeId: string }): Promise<void> {
  let word: string | undefined
  setHandler(defineSignal<[string]>('word'), told => void (word = told))
  await condition(() => word !== undefined)
  await steps.endProbe(probeId, word ?? '')
}
