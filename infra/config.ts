import { isIP } from 'node:net'
import { resolve } from 'node:path'
import ipaddr from 'ipaddr.js'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { SigningKeys } from './crypto/links.ts'
import type { SecretsKey } from './crypto/sealing.ts'

const port = (options: { default?: number } = {}) => Type.Integer({ minimum: 0, maximum: 65535, ...options })
const MIB = 1024 * 1024
const WHOLE_NUMBER = /^-?\d{1,9}$/
const Url = Type.String({ pattern: '^https?://' })
const SECRETS_KEYS = '^ *[a-z0-9_-]{1,32}:[0-9a-fA-F]{64} *(, *[a-z0-9_-]{1,32}:[0-9a-fA-F]{64} *)*$'

const SIGNING_KEYS = SECRETS_KEYS.replaceAll('[a-z0-9_-]{1,32}:', '([a-z0-9_-]{1,32}:)?')

/**
 * Every variable the system reads, and nowhere else is the environment read (Temporal's own TEMPORAL_* excepted,
 * which @temporalio/envconfig reads). An empty variable counts as absent.
 */
const Environment = Type.Object({
  NODE_ENV: Type.String({ default: 'development' }),
  DATA_DIR: Type.String({ default: '.data' }),
  PATH: Type.String({ default: '' }),
  HOST: Type.String({ default: '127.0.0.1' }),
  PORT: port({ default: 8080 }),
  METRICS_PORT: Type.Optional(port()),
  API_PROCESSES: Type.Integer({ minimum: 1, maximum: 64, default: 1 }),
  PUBLIC_URL: Type.Optional(Url),
  CORS_ORIGINS: Type.String({ default: '*' }),
  LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], { default: 'info' }),
  ADMIN_TOKEN: Type.Optional(Type.String({ minLength: 16 })),
  SIGNING_KEY: Type.Optional(Type.String({ pattern: SIGNING_KEYS })),
  SECRETS_KEY: Type.Optional(Type.String({ pattern: SECRETS_KEYS })),
  DATABASE_URL: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
  DATABASE_POOL_SIZE: Type.Integer({ minimum: 2, maximum: 200, default: 10 }),
  TEMPORAL_ADDRESS: Type.Optional(Type.String({ pattern: '^[^:/]+:\\d+$' })),
  TEMPORAL_NAMESPACE: Type.String({ default: 'default' }),
  TEMPORAL_UI_URL: Type.Optional(Url),
  TEMPORAL_CLI_PATH: Type.Optional(Type.String()),
  TEMPORAL_WORKER_BUILD_ID: Type.Optional(Type.String()),
  S3_ENDPOINT: Type.Optional(Url),
  S3_REGION: Type.String({ default: 'us-east-1' }),
  S3_BUCKET: Type.String({ default: 'ipop' }),
  S3_ACCESS_KEY_ID: Type.Optional(Type.String()),
  S3_SECRET_ACCESS_KEY: Type.Optional(Type.String()),
  OPENROUTER_API_KEY: Type.Optional(Type.String()),
  OPENROUTER_BASE_URL: Type.Optional(Url),
  SANDBOX_URL: Type.Optional(Url),
  CATALOG_FILE: Type.Optional(Type.String()),
  OUTBOUND_ALLOW_PRIVATE: Type.Enum(['true', 'false'], { default: 'false' }),
  OUTBOUND_PORTS: Type.Optional(Type.String()),
  TRUSTED_PROXIES: Type.Optional(Type.String()),
  VSCODE_TRIALS_PER_DAY: Type.Integer({ minimum: 0, maximum: 1_000_000, default: 0 }),
  VSCODE_TRIALS_PER_ADDRESS: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 3 }),
  VSCODE_TRIAL_CREDIT_USD: Type.String({ pattern: '^\\d{1,4}(\\.\\d{1,9})?$', default: '0.25' }),
  VSCODE_TRIAL_REQUESTS_PER_DAY: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 200 }),
  VSCODE_TRIAL_DAYS: Type.Integer({ minimum: 1, maximum: 365, default: 14 }),
  VSCODE_TRIAL_UPGRADE_URL: Type.Optional(Url),
  UPSTREAM_REPLY_TIMEOUT_SECONDS: Type.Integer({ minimum: 1, maximum: 3600, default: 900 }),
  UPSTREAM_IDLE_TIMEOUT_SECONDS: Type.Integer({ minimum: 1, maximum: 3600, default: 120 }),
  DEFAULT_REQUESTS_PER_MINUTE: Type.Integer({ minimum: 0, maximum: 1_000_000, default: 600 }),
  PROCESS_LOST_SECONDS: Type.Integer({ minimum: 3, maximum: 3600, default: 30 }),
  STREAM_LEASE_SECONDS: Type.Integer({ minimum: 1, maximum: 3600, default: 30 }),
  STREAM_STALL_SECONDS: Type.Integer({ minimum: 1, maximum: 3600, default: 120 }),
  LARGE_REQUESTS_MB: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 512 }),
  STORAGE_QUOTA_MB: Type.Integer({ minimum: 0, maximum: 100_000_000, default: 1024 }),
  STORAGE_QUOTA_WITHOUT_CREDIT_MB: Type.Integer({ minimum: 0, maximum: 100_000_000, default: 64 }),
  STORAGE_LEAST_FREE_MB: Type.Integer({ minimum: 0, maximum: 100_000_000, default: 512 }),
})
type Environment = Static<typeof Environment>

/** An address and how many of its bits count. */
export type AddressRange = ReturnType<typeof ipaddr.parseCIDR>

/** Days are UTC's. */
export interface TrialSettings {
  /** All trials that may begin on a day: with the credit of each, the day's budget. */
  perDay: number
  perAddress: number
  /** Decimal text. */
  creditUsd: string
  requestsPerDay: number
  days: number
  upgradeUrl: string
}

export interface Config {
  production: boolean
  /** Absolute. */
  dataDir: string
  /** Where tools are looked for. */
  toolPath: string
  host: string
  port: number
  metricsPort: number | undefined
  /** Of an API that listens on one port. */
  apiProcesses: number
  /** Where clients reach the API; for links and examples. */
  publicUrl: string
  /** Whose pages may call the API from a browser. */
  corsOrigins: '*' | readonly string[]
  logLevel: Environment['LOG_LEVEL']
  adminToken: string | undefined
  /** Sign the links that this deployment gives out: the first signs, all verify. */
  signingKeys: SigningKeys | undefined
  /** Seal what is secret at rest: the first seals, all open. */
  secretsKeys: readonly [SecretsKey, ...SecretsKey[]] | undefined
  database: { url: string | undefined; poolSize: number }
  temporal: {
    address: string | undefined
    namespace: string
    uiUrl: string | undefined
    cliPath: string | undefined
    workerBuildId: string | undefined
  }
  s3: { endpoint: string; region: string; bucket: string; accessKeyId: string; secretAccessKey: string } | undefined
  upstreams: {
    openRouter: { baseUrl: string; apiKey: string | undefined } | undefined
    sandboxUrl: string | undefined
    replyTimeoutMs: number
    idleTimeoutMs: number
  }
  /** Of keys that have no limit of their own; null: none. */
  defaultRequestsPerMinute: number | null
  /** After how long of silence an API process is declared lost, and what it held is given to others. */
  processLostMs: number
  /** After how long the open streams of a process that died stop counting against their keys. */
  streamLeaseMs: number
  /** After how long a client that reads nothing of a stream is given up. */
  streamStallMs: number
  /** Of request bodies, and what is loaded for them, that an API process holds at once; small ones aside. */
  largeRequestBytes: number
  storage: {
    /** What an account keeps at most, in bytes, where it has no quota of its own. */
    quotas: { withCredit: number; withoutCredit: number }
    /** With less room on the disk of DATA_DIR nothing more is taken to be kept. */
    leastFreeBytes: number
  }
  catalogFile: string | undefined
  /** What may be asked at addresses that come from outside. */
  /** Ports: undefined for the usual ones. */
  outbound: { allowPrivate: boolean; ports: number[] | undefined }
  /** Whose `X-Forwarded-For` is believed. */
  trustedProxies: readonly AddressRange[]
  /** undefined: there are no trials. */
  vscodeTrials: TrialSettings | undefined
  /** The value of a variable that CATALOG_FILE names. */
  secret: (name: string) => string | undefined
}

/** A variable is wrong: the message is one sentence for the person who set it. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** Reads and checks the environment. Errors: ConfigError naming the variable. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const e = parseEnvironment(env)
  return {
    production: e.NODE_ENV === 'production',
    dataDir: resolve(e.DATA_DIR),
    toolPath: e.PATH,
    host: e.HOST,
    port: e.PORT,
    metricsPort: e.METRICS_PORT,
    apiProcesses: e.API_PROCESSES,
    publicUrl: (e.PUBLIC_URL ?? `http://${e.HOST}:${e.PORT}`).replace(/\/+$/, ''),
    corsOrigins: corsOriginsOf(e),
    logLevel: e.LOG_LEVEL,
    adminToken: e.ADMIN_TOKEN,
    signingKeys: keysOf('SIGNING_KEY', e.SIGNING_KEY),
    secretsKeys: keysOf('SECRETS_KEY', e.SECRETS_KEY),
    database: { url: e.DATABASE_URL, poolSize: e.DATABASE_POOL_SIZE },
    temporal: {
      address: e.TEMPORAL_ADDRESS,
      namespace: e.TEMPORAL_NAMESPACE,
      uiUrl: e.TEMPORAL_UI_URL,
      cliPath: e.TEMPORAL_CLI_PATH,
      workerBuildId: e.TEMPORAL_WORKER_BUILD_ID,
    },
    s3: s3Of(e),
    upstreams: {
      openRouter: openRouterOf(e),
      sandboxUrl: e.SANDBOX_URL,
      replyTimeoutMs: e.UPSTREAM_REPLY_TIMEOUT_SECONDS * 1000,
      idleTimeoutMs: e.UPSTREAM_IDLE_TIMEOUT_SECONDS * 1000,
    },
    largeRequestBytes: e.LARGE_REQUESTS_MB * MIB,
    defaultRequestsPerMinute: e.DEFAULT_REQUESTS_PER_MINUTE || null,
    processLostMs: e.PROCESS_LOST_SECONDS * 1000,
    streamLeaseMs: e.STREAM_LEASE_SECONDS * 1000,
    streamStallMs: e.STREAM_STALL_SECONDS * 1000,
    storage: {
      quotas: { withCredit: e.STORAGE_QUOTA_MB * MIB, withoutCredit: e.STORAGE_QUOTA_WITHOUT_CREDIT_MB * MIB },
      leastFreeBytes: e.STORAGE_LEAST_FREE_MB * MIB,
    },
    catalogFile: e.CATALOG_FILE,
    outbound: { allowPrivate: e.OUTBOUND_ALLOW_PRIVATE === 'true', ports: outboundPortsOf(e) },
    trustedProxies: trustedProxiesOf(e),
    vscodeTrials: vscodeTrialsOf(e),
    secret: name => env[name] || undefined,
  }
}

function parseEnvironment(env: NodeJS.ProcessEnv): Environment {
  const given = Object.entries(Environment.properties).flatMap(([name, schema]) => {
    const text = env[name]
    return text === undefined || text === '' ? [] : [[name, typed(name, schema, text)] as const]
  })
  return Value.Default(Environment, Object.fromEntries(given)) as Environment
}

function typed(name: string, schema: TSchema, text: string): unknown {
  const value = Type.IsInteger(schema) && WHOLE_NUMBER.test(text) ? Number(text) : text
  const [error] = Value.Errors(schema, value)
  if (error === undefined) return value
  const allowed = error.keyword === 'enum' ? `: ${error.params.allowedValues.map(String).join(', ')}` : ''
  throw new ConfigError(`${name} is wrong: it ${error.message}${allowed}.`)
}

function s3Of(e: Environment): Config['s3'] {
  if (e.S3_ENDPOINT === undefined) return undefined
  if (e.S3_ACCESS_KEY_ID === undefined || e.S3_SECRET_ACCESS_KEY === undefined) {
    throw new ConfigError('S3_ENDPOINT is set, so S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY must be set too.')
  }
  return {
    endpoint: e.S3_ENDPOINT,
    region: e.S3_REGION,
    bucket: e.S3_BUCKET,
    accessKeyId: e.S3_ACCESS_KEY_ID,
    secretAccessKey: e.S3_SECRET_ACCESS_KEY,
  }
}

/** A key of links that comes without an id, as the first one may. */
const NAMELESS = 'k0'

/** Keys as `<id>:<hex>`, by comma. Errors: ConfigError for two of the same id. */
function keysOf(variable: string, list: string | undefined): Config['secretsKeys'] {
  const keys = (list?.split(',') ?? []).map(text => {
    const [hex = '', id = NAMELESS] = text.trim().split(':').reverse()
    return { id, bytes: Buffer.from(hex, 'hex') }
  })
  const [first, ...others] = keys
  if (new Set(keys.map(key => key.id)).size < keys.length) {
    throw new ConfigError(`${variable} is wrong: it names two keys of the same id.`)
  }
  return first === undefined ? undefined : [first, ...others]
}

/** As browsers write it (WHATWG HTML section 7.1.1): extensions have schemes of their own. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/

function corsOriginsOf({ CORS_ORIGINS }: Environment): Config['corsOrigins'] {
  if (CORS_ORIGINS === '*') return '*'
  if (CORS_ORIGINS === 'none') return []
  return CORS_ORIGINS.split(',').map(text => {
    const origin = text.trim().toLowerCase()
    if (ORIGIN.test(origin)) return origin
    throw new ConfigError(
      `CORS_ORIGINS is wrong: ${origin || 'an empty entry'} is no origin such as https://app.example.com; or give * or none.`,
    )
  })
}

const outboundPortsOf = ({ OUTBOUND_PORTS }: Environment): number[] | undefined =>
  OUTBOUND_PORTS?.split(',').map(text => {
    const port = Number(text)
    if (WHOLE_NUMBER.test(text.trim()) && port >= 1 && port <= 65_535) return port
    throw new ConfigError(`OUTBOUND_PORTS is wrong: ${text.trim() || 'an empty entry'} is no port.`)
  })

function trustedProxiesOf(e: Environment): AddressRange[] {
  return (e.TRUSTED_PROXIES?.split(',') ?? []).map(text => {
    const range = text.trim()
    const bits = { 0: undefined, 4: 32, 6: 128 }[isIP(range)]
    const cidr = bits === undefined ? range : `${range}/${bits}`
    if (isIP(cidr.split('/')[0] ?? '') !== 0 && ipaddr.isValidCIDR(cidr)) return ipaddr.parseCIDR(cidr)
    throw new ConfigError(`TRUSTED_PROXIES is wrong: ${range || 'an empty entry'} is no address and no CIDR range.`)
  })
}

function vscodeTrialsOf(e: Environment): Config['vscodeTrials'] {
  if (e.VSCODE_TRIALS_PER_DAY === 0) return undefined
  if (e.VSCODE_TRIAL_UPGRADE_URL === undefined) {
    throw new ConfigError('VSCODE_TRIALS_PER_DAY is set, so VSCODE_TRIAL_UPGRADE_URL must be set too.')
  }
  return {
    perDay: e.VSCODE_TRIALS_PER_DAY,
    perAddress: e.VSCODE_TRIALS_PER_ADDRESS,
    creditUsd: e.VSCODE_TRIAL_CREDIT_USD,
    requestsPerDay: e.VSCODE_TRIAL_REQUESTS_PER_DAY,
    days: e.VSCODE_TRIAL_DAYS,
    upgradeUrl: e.VSCODE_TRIAL_UPGRADE_URL,
  }
}

function openRouterOf(e: Environment): Config['upstreams']['openRouter'] {
  if (e.OPENROUTER_API_KEY === undefined && e.OPENROUTER_BASE_URL === undefined) return undefined
  return {
    baseUrl: (e.OPENROUTER_BASE_URL ?? 'https://openrouter.ai/api/v1').replace(/\/+$/, ''),
    apiKey: e.OPENROUTER_API_KEY,
  }
}

/** Errors: ConfigError where no database is configured. */
export function requireDatabaseUrl(config: Pick<Config, 'database'>): string {
  if (config.database.url !== undefined) return config.database.url
  throw new ConfigError(
    'DATABASE_URL is not set: name a Postgres 15+ database, or run `npm start` for an embedded one.',
  )
}

/** Errors: ConfigError where none is configured. */
export function requireSigningKeys(config: Pick<Config, 'signingKeys'>): SigningKeys {
  if (config.signingKeys !== undefined) return config.signingKeys
  throw new ConfigError('SIGNING_KEY is not set: make one with `openssl rand -hex 32`, the same for all processes.')
}

/** Errors: ConfigError where none is configured. */
export function requireSecretsKeys(config: Pick<Config, 'secretsKeys'>): readonly [SecretsKey, ...SecretsKey[]] {
  if (config.secretsKeys !== undefined) return config.secretsKeys
  throw new ConfigError(
    'SECRETS_KEY is not set: make one with `echo k1:$(openssl rand -hex 32)`, the same for all processes.',
  )
}
