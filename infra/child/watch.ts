import { allProcesses, carriesMark, familyOf, tasksOfMachine, type SystemProcess } from './family.ts'
import type { Isolation } from './isolation.ts'
import { OWN_PROCESSES, type ChildLimits } from './limits.ts'

/** What a child took too much of. */
export type Excess = 'cpu' | 'memory' | 'processes'

const LOOK_EVERY_MS = 250
/** How often it is asked whether there are suddenly more: they can double in a few milliseconds. */
const GLANCE_EVERY_MS = 25
/** Looks for processes that are still there, when all were told to end. */
const MOST_ROUNDS = 20
const ROUND_MS = 50

/**
 * All processes that a child has started, looked at four times a second: the system limits them one by one, and not what
 * they take together. `onExcess` may be told more than once.
 */
export class FamilyWatch {
  readonly #root: number
  readonly #limits: ChildLimits
  readonly #mark: string | undefined
  readonly #onExcess: (excess: Excess) => void
  #known = new Map<number, string>()
  #timer: NodeJS.Timeout | undefined
  #isOver = false
  #lookedAtMs = performance.now()
  #tasks = tasksOfMachine()

  /** `root` is the pid of the first one, which leads a group; `mark` is in the environment of all. */
  constructor(
    { root, mark, isolation, limits }: { root: number; mark: string; isolation: Isolation; limits: ChildLimits },
    onExcess: (excess: Excess) => void,
  ) {
    this.#root = root
    // Elsewhere none can leave.
    this.#mark = isolation.hasOwnProcesses ? undefined : mark
    this.#limits = limits
    this.#onExcess = onExcess
    this.#glanceLater()
  }

  /** Ends the group at once. */
  killGroup(): void {
    send(-this.#root)
  }

  /** Ends every process of the family, and looks no more. Resolves when none is left, or the system does not end it. */
  async end(): Promise<void> {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.killGroup()
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const left = [...(await this.#look()), ...(await this.#escaped())]
      if (left.length === 0) return
      for (const { pid } of left) send(pid)
      await new Promise(resolve => setTimeout(resolve, ROUND_MS))
    }
  }

  #glanceLater(): void {
    this.#timer = setTimeout(
      () => void this.#glance().finally(() => this.#isOver || this.#glanceLater()),
      GLANCE_EVERY_MS,
    )
  }

  async #glance(): Promise<void> {
    const tasks = tasksOfMachine()
    const isDue = performance.now() - this.#lookedAtMs >= LOOK_EVERY_MS
    if (!isDue && tasks - this.#tasks < this.#limits.processes) return
    this.#lookedAtMs = performance.now()
    this.#tasks = tasks
    // What cannot be told now is told at the next look.
    const family = await this.#look().catch(() => [])
    const excess = excessOf(family, this.#limits)
    if (excess !== undefined && !this.#isOver) this.#onExcess(excess)
  }

  /** Those who left the group are known from the look before. */
  async #look(): Promise<SystemProcess[]> {
    const family = familyOf(await allProcesses(), this.#root, this.#known)
    this.#known = new Map(family.map(({ pid, startedAt }) => [pid, startedAt]))
    return family
  }

  /** Who left the group, its parent gone, between two looks. */
  async #escaped(): Promise<SystemProcess[]> {
    const mark = this.#mark
    return mark === undefined ? [] : (await allProcesses()).filter(one => carriesMark(one, mark))
  }
}

function excessOf(family: readonly SystemProcess[], limits: ChildLimits): Excess | undefined {
  const sumOf = (figure: (one: SystemProcess) => number) => family.reduce((sum, one) => sum + figure(one), 0)
  if (family.length > limits.processes + OWN_PROCESSES) return 'processes'
  if (sumOf(one => one.memoryBytes) > limits.memoryBytes) return 'memory'
  if (sumOf(one => one.cpuSeconds) > limits.cpuSeconds) return 'cpu'
  return undefined
}

/** It may have ended meanwhile, or be nobody's that we may end. */
function send(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}
