import { pino, type Logger } from 'pino'

export type Log = Logger

const SECRETS = [
  'headers.authorization',
  'headers["x-api-key"]',
  '*.authorization',
  '*.apiKey',
  '*.secret',
  '*.password',
]

/**
 * JSON lines on stdout. Callers log ids, codes and figures, never a key, prompt or completion;
 * the redaction is a net under that rule, not a substitute for it.
 */
export function createLog(service: string, level: string): Log {
  return pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: SECRETS,
    serializers: { err: errorFields },
  })
}

/** What a log may hold of an error: a driver's further fields can quote rows and values. */
function errorFields(error: unknown): object {
  if (!(error instanceof Error)) return { message: 'a value that is no error was thrown' }
  const code = 'code' in error ? { code: error.code } : {}
  const cause = error.cause === undefined ? {} : { cause: errorFields(error.cause) }
  return { name: error.name, message: error.message, ...code, stack: error.stack, ...cause }
}
