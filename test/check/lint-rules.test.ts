import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { IMPORT_TABLE } from './import-table.ts'
import { Overlay, type Outcome } from './overlay.ts'
import { PERMITTED, VIOLATIONS } from './violations.ts'

type Finding = {
  code?: string
  message: string
  severity: string
  filename: string
  labels: { span: { line: number } }[]
}

const IMPORTS = 'eslint(no-restricted-imports)'
const violations = VIOLATIONS.map((violation, index) => ({
  ...violation,
  file: violation.file.replace('%', `case${index}`),
}))

/** One import a line. */
const importSources = IMPORT_TABLE.map(({ file, allowed, forbidden }) => [
  file,
  [...allowed, ...forbidden].map(importOf).join('\n'),
])

function importOf(specifier: string, index: number): string {
  return `export { default as name${index} } from '${specifier}'`
}

describe('npm run check:lint', () => {
  let overlay: Overlay
  let outcome: Outcome
  let findings: Finding[]

  beforeAll(async () => {
    const violationSources = violations.map(({ file, text }) => [file, text])
    overlay = await Overlay.create({ ...Object.fromEntries([...violationSources, ...importSources]), ...PERMITTED })
    outcome = await overlay.run('check:lint', '--format', 'json')
    findings = (JSON.parse(outcome.stdout) as { diagnostics: Finding[] }).diagnostics
  })
  afterAll(async () => overlay.remove())

  const findingsIn = (file: string) => findings.filter(finding => finding.filename === file)
  const restrictedLines = (file: string) =>
    findingsIn(file).flatMap(({ code, labels }) => (code === IMPORTS ? labels.map(({ span }) => span.line) : []))

  test('fails', () => {
    expect(outcome.exitCode).not.toBe(0)
    expect(new Set(findings.map(({ severity }) => severity))).toEqual(new Set(['error']))
  })

  test.each(violations)('$rule in $file', ({ file, rule }) => {
    expect(findingsIn(file).map(({ code, message }) => code ?? message)).toContain(rule)
  })

  test.each(Object.keys(PERMITTED))('nothing in %s', file => {
    expect(findingsIn(file)).toEqual([])
  })

  test.each(IMPORT_TABLE)('who $file may import', ({ file, allowed, forbidden }) => {
    const specifiers = [...allowed, ...forbidden]
    const refused = new Set(restrictedLines(file).map(line => specifiers[line - 1]))
    expect(refused).toEqual(new Set(forbidden))
  })
})

describe('npm run check:types, check:format and check:unused', () => {
  let overlay: Overlay

  beforeAll(async () => {
    overlay = await Overlay.create({
      'cli/main.ts': "import { used } from '../domain/thing.ts'\nused()\n",
      'domain/thing.ts': 'export function used() {}\n\nexport function unusedFunction() {}\n',
      'domain/unused-file.ts': 'export const a = 1\n',
      'infra/type-error.ts': "export const count: number = 'one'\n",
      'infra/format-error.ts': 'export const text = "double";\n',
    })
  })
  afterAll(async () => overlay.remove())

  test('a type error', async () => {
    const { exitCode, stdout: output } = await overlay.run('check:types')
    expect(exitCode).not.toBe(0)
    expect(output).toContain('infra/type-error.ts(1,14): error TS2322')
  })

  test('a format error', async () => {
    const { exitCode, stderr: output } = await overlay.run('check:format')
    expect(exitCode).not.toBe(0)
    expect(output).toContain('infra/format-error.ts')
    expect(output).not.toContain('domain/thing.ts')
  })

  test('an unused export, file and dependency', async () => {
    const { exitCode, stdout: output } = await overlay.run('check:unused', '--reporter', 'compact')
    expect(exitCode).not.toBe(0)
    expect(output).toMatch(/thing\.ts: unusedFunction/)
    expect(output).toMatch(/unused-file\.ts/)
    expect(output).toMatch(/package\.json: .*\bkoa\b/)
    expect(output).not.toMatch(/\bused\b(?! )/)
  })
})
