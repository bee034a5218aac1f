import { SingleBar } from 'cli-progress'
import { usdText } from '../../domain/money/ledger/money.rules.ts'
import type { BatchDetail } from '../../domain/work/batches/batch.schema.ts'
import { nanosOf } from './results.ts'

export interface Progress {
  show(batch: BatchDetail): void
  end(): void
}

const NOTHING_READ = 'reading the rows'

function figuresOf(batch: BatchDetail) {
  const { total, completed, failed } = batch.request_counts
  const done = completed + failed
  return {
    done,
    total,
    status: batch.status.padEnd('in_progress'.length),
    rows: total === 0 ? NOTHING_READ : `${done}/${total} rows, ${failed} failed`,
    cost: `${usdText(nanosOf(batch.usage.cost_usd))} USD`,
  }
}

/** A bar that is drawn over on a terminal; elsewhere a line whenever something has changed. */
export const createProgress = (out: NodeJS.WriteStream): Progress => (out.isTTY ? barOn(out) : linesOn(out))

function barOn(stream: NodeJS.WriteStream): Progress {
  const bar = new SingleBar({
    stream,
    format: '  {status} [{bar}] {rows}, {cost}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
  })
  bar.start(1, 0, { status: 'validating ', rows: NOTHING_READ, cost: '0.00 USD' })
  return {
    show: batch => {
      const { done, total, ...rest } = figuresOf(batch)
      if (total > 0) bar.setTotal(total)
      bar.update(done, rest)
    },
    end: () => bar.stop(),
  }
}

function linesOn(stream: NodeJS.WriteStream): Progress {
  let last = ''
  return {
    show: batch => {
      const { status, rows, cost } = figuresOf(batch)
      const line = `  ${status} ${rows}, ${cost}`
      if (line !== last) stream.write(`${line}\n`)
      last = line
    },
    end: () => undefined,
  }
}
