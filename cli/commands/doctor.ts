import type { Command } from 'commander'
import type { Finding } from '../doctor/findings.ts'
import { operatorCommand } from '../operator/declare.ts'
import { print, type OutputOptions } from '../operator/operator.ts'
import { table } from '../operator/text.ts'

export const doctorCommand = (): Command =>
  operatorCommand(
    'doctor',
    'Check everything this system depends on, and say what to do. Exits 1 where something is wrong.',
    'ipop doctor',
    'ipop doctor --json',
  ).action(async (options: OutputOptions) => {
    const { operatorConfig } = await import('../operator/operator-config.ts')
    const { examine } = await import('../doctor/doctor.ts')
    const findings = await examine(operatorConfig(process.env))
    const ok = findings.every(finding => finding.ok)
    if (!ok) process.exitCode = 1
    print(options, { text: report(findings), json: { ok, checks: findings } })
  })

function report(findings: readonly Finding[]): string {
  const rows = findings.map(({ ok, name, detail, remedy }) => [
    markOf(ok, remedy),
    name,
    remedy === undefined ? detail : `${detail}. ${remedy}`,
  ])
  return table(['', 'CHECK', 'FOUND'], rows)
}

function markOf(ok: boolean, remedy: string | undefined): string {
  if (!ok) return 'FAIL'
  return remedy === undefined ? 'ok' : 'note'
}
