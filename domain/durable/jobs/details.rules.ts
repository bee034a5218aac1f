/** What operators read on a job's workflow. */
export interface JobDetails {
  id: string
  phase: string
  /** Undefined while it is not known. */
  model?: string | undefined
  /** Columns of one row of figures. */
  figures: Record<string, string | number>
}

/**
 * Markdown, as Temporal's UI shows it: a few lines, for it cuts off what is longer. It is as old as the job's last
 * change; how long after the job's start that was is in its heading.
 */
export function detailsMarkdown({ id, phase, model, figures }: JobDetails, elapsedMs: number): string {
  const row = { model: model ?? '…', ...figures }
  const names = Object.keys(row)
  const rows = [names, names.map(() => '---'), Object.values(row)]
  return [
    `**${id}** · ${phase} · ${elapsedText(elapsedMs)} after its start`,
    rows.map(cells => `| ${cells.join(' | ')} |`).join('\n'),
  ].join('\n\n')
}

const UNITS = [
  ['h', 3_600],
  ['min', 60],
] as const

/** `0.4 s`, `12.3 s`, `2 min 5 s`, `1 h 0 min 3 s`. */
export function elapsedText(elapsedMs: number): string {
  const inSeconds = elapsedMs / 1_000
  if (inSeconds < 60) return `${(Math.floor(inSeconds * 10) / 10).toFixed(1)} s`
  let left = Math.floor(inSeconds)
  const parts: string[] = []
  for (const [unit, seconds] of UNITS) {
    const count = Math.floor(left / seconds)
    left %= seconds
    if (count > 0 || parts.length > 0) parts.push(`${count} ${unit}`)
  }
  return [...parts, `${left} s`].join(' ')
}
