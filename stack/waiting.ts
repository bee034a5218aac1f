const PRINT_EVERY_MS = 2_000

export interface Waiting {
  /** What the work gives; it is told of by this name while it takes long. */
  for<T>(name: string, work: Promise<T>): Promise<T>
  /** Nothing more is told. */
  end(): void
}

/** Tells a person every so often what a start still waits for, and for how long it has. */
export function printWaiting(printLine: (line: string) => void): Waiting {
  const open = new Set<string>()
  const startedAtMs = performance.now()
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - startedAtMs) / 1000)
    if (open.size > 0) printLine(`Waiting for ${[...open].join(', ')} (${seconds} s) …`)
  }, PRINT_EVERY_MS)
  timer.unref()
  return {
    for: async (name, work) => {
      open.add(name)
      try {
        return await work
      } finally {
        open.delete(name)
      }
    },
    end: () => clearInterval(timer),
  }
}
