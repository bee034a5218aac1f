import { Command, InvalidArgumentError } from 'commander'

/** A command that only groups others. */
export function group(name: string, description: string, commands: Command[]): Command {
  const parent = new Command(name).description(description)
  for (const command of commands) parent.addCommand(command)
  return parent
}

/** An operator's command: each takes `--json` and shows how it is used. */
export const operatorCommand = (name: string, description: string, ...usage: string[]): Command =>
  new Command(name)
    .description(description)
    .option('--json', 'print JSON')
    .addHelpText('after', examples(...usage))

export const examples = (...lines: string[]): string => `\nExamples:\n${lines.map(line => `  $ ${line}`).join('\n')}`

/** A parser of option values: a whole number within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return text => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}
