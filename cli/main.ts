#!/usr/bin/env node
import { reportFailure } from './failure.ts'
import { createProgram } from './program.ts'

try {
  await createProgram().parseAsync()
} catch (error) {
  reportFailure(error, process.env)
  // What a failed start left open, such as a connection, must not keep the process.
  process.exit(1)
}
