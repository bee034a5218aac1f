/** A deliberate violation: the file it stands in, its text, and the rule that must say so. */
export type Violation = { file: string; text: string; rule: string }

const AREAS = 'local(areas)'
const FOLDERS = 'local(no-folder-loops)'
const CLOCK = 'local(no-clock)'
const RUNS = 'local(run-transactions)'
const DATABASE = "'../infra/postgres/database.ts'"
const GLOBALS = 'eslint(no-restricted-globals)'
const PROPERTIES = 'eslint(no-restricted-properties)'
const PROMISE = 'declare const later: () => Promise<boolean>\n'
const lines = (count: number, line: string) => `${line}\n`.repeat(count)

/** Each stands in a file of its own, named by its place in the list. */
export const VIOLATIONS: Violation[] = [
  { file: 'domain/%.ts', text: `${PROMISE}later()`, rule: 'typescript(no-floating-promises)' },
  { file: 'domain/%.ts', text: `${PROMISE}if (later()) throw new Error()`, rule: 'typescript(no-misused-promises)' },
  { file: 'domain/%.ts', text: 'await 1', rule: 'typescript(await-thenable)' },
  { file: 'domain/%.ts', text: "throw 'text'", rule: 'typescript(only-throw-error)' },
  { file: 'domain/%.ts', text: 'export const a = (b: any) => String(b)', rule: 'typescript(no-explicit-any)' },
  { file: 'domain/%.ts', text: 'export const a = (b?: string) => b!', rule: 'typescript(no-non-null-assertion)' },
  { file: 'domain/%.ts', text: 'export const a = (b: string) => b == "c"', rule: 'eslint(eqeqeq)' },
  { file: 'domain/%.ts', text: 'let a = 1\nexport { a }', rule: 'eslint(prefer-const)' },
  { file: 'domain/cycle.ts', text: "export { a } from './cycle-back.ts'", rule: 'import(no-cycle)' },
  {
    file: 'domain/cycle-back.ts',
    text: "import type { a } from './cycle.ts'\nexport type A = typeof a",
    rule: 'import(no-cycle)',
  },
  { file: 'domain/money/thing/%.ts', text: "export { a } from '../../work/thing/a.ts'", rule: AREAS },
  {
    file: 'domain/durable/thing/%.ts',
    text: "import type { a } from '../../tenancy/a.ts'\nexport type A = a",
    rule: AREAS,
  },
  { file: 'domain/work/thing/%.ts', text: "export const a = () => import('../../media/thing/a.ts')", rule: AREAS },
  { file: 'domain/core/%.ts', text: "export type A = import('../money/ledger/money.rules.ts').Nanos", rule: AREAS },
  { file: 'domain/elsewhere/thing/%.ts', text: "export { a } from '../../core/a.ts'", rule: AREAS },
  { file: 'domain/work/here/%.ts', text: "export { a } from '../there/there.ts'", rule: FOLDERS },
  {
    file: 'domain/work/there/there.ts',
    text: "import type { b } from '../between/between.ts'\nexport type B = typeof b",
    rule: FOLDERS,
  },
  { file: 'domain/work/between/between.ts', text: "export { c } from '../here/c.ts'", rule: FOLDERS },
  { file: 'domain/%.ts', text: 'console.log(1)', rule: 'eslint(no-console)' },
  { file: 'api/%.ts', text: 'console.error(1)', rule: 'eslint(no-console)' },
  { file: 'domain/%.ts', text: "await fetch('http://a')", rule: GLOBALS },
  { file: 'activities/%.ts', text: "await globalThis.fetch('http://a')", rule: GLOBALS },
  { file: 'infra/temporal/%.ts', text: "await fetch('http://a')", rule: GLOBALS },
  { file: 'workers/%.ts', text: "await fetch('http://a')", rule: GLOBALS },
  {
    file: 'domain/%.ts',
    text: "import { request } from 'node:http'\nrequest('a')",
    rule: 'eslint(no-restricted-imports)',
  },
  { file: 'api/%.ts', text: "import http from 'node:http'\nhttp.get('a')", rule: 'eslint(no-restricted-imports)' },
  { file: 'infra/%.ts', text: "import * as http from 'http'\nhttp.get('a')", rule: 'eslint(no-restricted-imports)' },
  {
    file: 'api/%.ts',
    text: "export const a = () => import('../workflows/index.ts')",
    rule: 'eslint(no-restricted-imports)',
  },
  {
    file: 'api/%.ts',
    text: "export type { a } from '../activities/work/things.ts'",
    rule: 'eslint(no-restricted-imports)',
  },
  { file: 'domain/%.ts', text: 'export const a = process.env', rule: PROPERTIES },
  { file: 'infra/temporal/%.ts', text: "export const a = process['env'].HOME", rule: PROPERTIES },
  { file: 'workers/%.ts', text: 'export const { env } = process', rule: PROPERTIES },
  { file: 'domain/%.rules.ts', text: 'export const a = Date.now()', rule: PROPERTIES },
  { file: 'domain/%.rules.ts', text: 'export const a = Math.random()', rule: PROPERTIES },
  { file: 'domain/%.rules.ts', text: 'export const a = new Date()', rule: CLOCK },
  { file: 'domain/%-run.ts', text: `export { inTransaction as a } from ${DATABASE}`, rule: RUNS },
  { file: 'domain/%-end.ts', text: `import { inTransaction } from ${DATABASE}\ninTransaction()`, rule: RUNS },
  { file: 'activities/%.ts', text: 'export const a = (db: any) => db.query(1)', rule: RUNS },
  {
    file: 'activities/%.ts',
    text: "import { a } from '../domain/work/thing/thing.service.ts'\na()",
    rule: 'local(steps-alone)',
  },
  { file: 'domain/%.schema.ts', text: 'export const a = Date()', rule: CLOCK },
  { file: 'domain/%.rules.ts', text: 'export const a = crypto.randomUUID()', rule: GLOBALS },
  { file: 'domain/%.rules.ts', text: 'setTimeout(String, 1)', rule: GLOBALS },
  {
    file: 'domain/%.ts',
    text: `export function a() {\n${lines(61, '  String(1)')}}`,
    rule: 'eslint(max-lines-per-function)',
  },
  { file: 'domain/%.ts', text: lines(301, 'String(1)'), rule: 'eslint(max-lines)' },
  {
    file: 'domain/%.ts',
    text: 'for (;;) for (;;) { for (;;) { for (;;) { if (1) { String() } } } }',
    rule: 'eslint(max-depth)',
  },
  {
    file: 'domain/%.ts',
    text: `export function a(b: number) {\n${lines(15, '  if (b) b--')}}`,
    rule: 'eslint(complexity)',
  },
  {
    file: 'domain/%.ts',
    text: '// oxlint-disable-next-line no-console\nexport const a = 1',
    rule: 'Unused oxlint-disable directive (no problems were reported).',
  },
]

/** What the rules leave alone, each in its place. */
export const PERMITTED: Readonly<Record<string, string>> = {
  'infra/config.ts': 'export const a = process.env',
  'infra/metrics.ts': "import { createServer } from 'node:http'\nexport const a = createServer()",
  'infra/upstreams/fetching.ts': "export const a = () => fetch('http://a')",
  'infra/outbound/fetching.ts': "export const a = () => fetch('http://a')",
  'stack/printing.ts': 'console.log(process.env)',
  'cli/printing.ts': "console.log(process.env, await fetch('http://a'))",
  'bench/printing.ts': "console.log(process.env, await fetch('http://a'))",
  'test/fetching.ts': "export const a = () => fetch(process.env['URL'] ?? '')",
  'domain/dates.rules.ts': 'export const a = (atMs: number) => new Date(atMs).toISOString()',
  'domain/clock.ts': 'export const a = () => [Date.now(), new Date(), Math.random(), crypto.randomUUID()]',
  'workflows/work/typed.ts':
    "import type { createThings } from '../../activities/typed/things.ts'\nexport type A = typeof createThings",
  'domain/inference/thing/below.ts': "export { a } from '../../money/ledger/a.ts'",
  'domain/admin/thing/above.ts': "export { a } from '../../work/files/a.ts'",
  'api/http/reply.ts': "import type { ServerResponse } from 'node:http'\nexport type A = ServerResponse",
}
