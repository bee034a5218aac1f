// Measures this API beside the gateways that its users would pick instead, on one machine in one run.
//   npm run bench -- --help
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeChart } from './chart.mjs'
import { stopChildren } from './child.mjs'
import { buildLoad, startMock } from './load.mjs'
import { goalLines, table, writeResult } from './report.mjs'
import { startStack } from './stack.mjs'

const FOLDER = new URL('./scenarios/', import.meta.url)
const SCENARIOS = readdirSync(fileURLToPath(FOLDER)).map(file => file.replace('.mjs', ''))

const HELP = `npm run bench -- [options]

  --only a,b     of the scenarios: ${SCENARIOS.join(', ')}
  --rounds N     rounds that visit every target in turn (default: 5)
  --seconds N    seconds that a target is measured in a round (default: each scenario's own)
  --quick        one round of two seconds: whether it runs, not how fast it is
  --help

Needs Go. Peers are installed into node_modules/.cache/ipop-bench: Portkey by npm, LiteLLM by pip where Python is there.
Figures are written to bench/results; with --quick they are only printed.`

const OPTIONS = {
  only: { type: 'string', default: SCENARIOS.join(',') },
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string' },
  quick: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
}

/** What was asked for; `seconds` is undefined where each scenario decides. */
function optionsOf(args) {
  const { values } = parseArgs({ args, options: OPTIONS })
  const names = values.only.split(',')
  const unknown = names.filter(name => !SCENARIOS.includes(name))
  if (unknown.length > 0) throw new Error(`No such scenario: ${unknown.join(', ')}. There are ${SCENARIOS.join(', ')}.`)
  if (values.quick) return { ...values, names, rounds: 1, seconds: 2 }
  const seconds = values.seconds === undefined ? undefined : numberOf('seconds', values.seconds)
  return { ...values, names, rounds: numberOf('rounds', values.rounds), seconds }
}

function numberOf(name, text) {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0.`)
  return value
}

async function measure(name, { rounds, seconds, quick }) {
  const { title, run } = await import(new URL(`${name}.mjs`, FOLDER))
  console.log(`\n== ${name}: ${title}`)
  const mock = await startMock()
  try {
    const log = text => console.log(`   ${text}`)
    const { rows, goals } = await run({ mockUrl: mock.url, rounds, seconds, quick, log, startStack })
    console.log(`\n${table(rows)}\n\n${goalLines(goals).join('\n')}`)
    if (!quick) await writeResult(name, { title, options: { rounds, seconds }, rows, goals })
  } finally {
    await mock.stop()
  }
}

/** One scenario that fails does not keep the others from being measured. */
async function measureAll(options) {
  await buildLoad()
  for (const name of options.names) {
    try {
      await measure(name, options)
      if (name === 'chat' && !options.quick) await writeChart()
    } catch (error) {
      console.error(`${name} failed: ${error.stack}`)
      process.exitCode = 1
    }
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => void stopChildren().then(() => process.exit(1)))
}

try {
  const options = optionsOf(process.argv.slice(2))
  if (options.help) console.log(HELP)
  else await measureAll(options)
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
