import { expect, test } from '@jest/globals'
import { allProcesses, familyOf, parsePs, type SystemProcess } from '../../../../infra/child/family.ts'

const one = (pid: number, parent: number, group: number, startedAt = String(pid)): SystemProcess => ({
  pid,
  parent,
  group,
  startedAt,
  memoryBytes: 0,
  cpuSeconds: 0,
})
const pidsOf = (processes: SystemProcess[]) => processes.map(({ pid }) => pid).sort((a, b) => a - b)

test('a family is a group, its descendants in any order, and those that are known of it', () => {
  const processes = [
    one(12, 11, 12),
    one(11, 10, 11),
    one(10, 1, 10),
    one(9, 1, 10),
    one(20, 1, 20),
    one(21, 1, 21),
    one(22, 21, 22),
    one(30, 1, 30, 'later'),
  ]
  const known = new Map([
    [21, '21'],
    [30, 'earlier'],
  ])
  expect(pidsOf(familyOf(processes, 10, known))).toEqual([9, 10, 11, 12, 21, 22])
})

test('the processes of the machine are told with what they use', async () => {
  const own = (await allProcesses()).find(({ pid }) => pid === process.pid)
  expect(own?.parent).toBe(process.ppid)
  expect(own?.memoryBytes).toBeGreaterThan(process.memoryUsage().rss / 3)
  expect(own?.memoryBytes).toBeLessThan(process.memoryUsage().rss * 3)
  expect(own?.cpuSeconds).toBeGreaterThan(0)
})

test('ps is read as macOS writes it, without the dead', () => {
  const text = [
    '    1     0     1 Ss    12000   3:04.05 Mon Nov 23 10:00:00 2026    ',
    '  501   300   501 S+     2048   1-02:03:04 Sat Nov 28 07:00:01 2026',
    '  777   501   501 Z         0   0:00.00 Sat Nov 28 07:00:02 2026',
    '',
  ].join('\n')
  expect(parsePs(text)).toEqual([
    {
      pid: 1,
      parent: 0,
      group: 1,
      startedAt: 'Mon Nov 23 10:00:00 2026    ',
      memoryBytes: 12_288_000,
      cpuSeconds: 184.05,
    },
    {
      pid: 501,
      parent: 300,
      group: 501,
      startedAt: 'Sat Nov 28 07:00:01 2026',
      memoryBytes: 2_097_152,
      cpuSeconds: 93_784,
    },
  ])
})
