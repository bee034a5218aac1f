#!/usr/bin/env node
import { makePrivateFiles } from '../infra/private-files.ts'
import { reportFailure } from './operator/failure.ts'
import { createProgram } from './program.ts'

makePrivateFiles()
try {
  await createProgram().parseAsync()
} catch (error) {
  reportFailure(error, process.env)
  // What a failed start left open, such as a connection, must not keep the process.
  process.exit(1)
}
