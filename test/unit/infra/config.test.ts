import { describe, expect, test } from '@jest/globals'
import { resolve } from 'node:path'
import {
  ConfigError,
  readConfig,
  requireDatabaseUrl,
  requireSecretsKeys,
  requireSigningKeys,
} from '../../../infra/config.ts'

test('nothing set is the development default', () => {
  const { secret: _secret, ...config } = readConfig({})
  expect(config).toEqual({
    defaultRequestsPerMinute: 600,
    largeRequestBytes: 512 * 1024 * 1024,
    processLostMs: 30_000,
    toolPath: '',
    production: false,
    dataDir: resolve('.data'),
    host: '127.0.0.1',
    port: 8080,
    metricsPort: undefined,
    apiProcesses: 1,
    publicUrl: 'http://127.0.0.1:8080',
    logLevel: 'info',
    adminToken: undefined,
    signingKeys: undefined,
    secretsKeys: undefined,
    database: { url: undefined, poolSize: 10 },
    temporal: {
      address: undefined,
      namespace: 'default',
      uiUrl: undefined,
      cliPath: undefined,
      workerBuildId: undefined,
    },
    s3: undefined,
    upstreams: { openRouter: undefined, sandboxUrl: undefined, replyTimeoutMs: 900_000, idleTimeoutMs: 120_000 },
    streamLeaseMs: 30_000,
    streamStallMs: 120_000,
    storage: {
      quotas: { withCredit: 1024 * 1024 * 1024, withoutCredit: 64 * 1024 * 1024 },
      leastFreeBytes: 512 * 1024 * 1024,
    },
    catalogFile: undefined,
    outbound: { allowPrivate: false },
    trustedProxies: [],
    corsOrigins: '*',
    vscodeTrials: undefined,
  })
})

test('an empty variable counts as absent, and unknown ones are not looked at', () => {
  const { secret: _secret, ...config } = readConfig({
    PORT: '',
    DATABASE_URL: '',
    OPENROUTER_API_KEY: '',
    NODE_ENV: '',
    HOME: '/x',
  })
  const { secret: _other, ...plain } = readConfig({})
  expect(config).toEqual(plain)
})

describe('what is set', () => {
  type Config = ReturnType<typeof readConfig>
  test.each<[string, NodeJS.ProcessEnv, (config: Config) => unknown, unknown]>([
    ['production', { NODE_ENV: 'production' }, c => c.production, true],
    ['the usual ports', {}, c => c.outbound.ports, undefined],
    ['ports', { OUTBOUND_PORTS: '443, 8443' }, c => c.outbound.ports, [443, 8443]],
    ['no origin', { CORS_ORIGINS: 'none' }, c => c.corsOrigins, []],
    [
      'origins',
      { CORS_ORIGINS: 'https://App.example.com, chrome-extension://abc' },
      c => c.corsOrigins,
      ['https://app.example.com', 'chrome-extension://abc'],
    ],
    ['another environment', { NODE_ENV: 'staging' }, c => c.production, false],
    ['the address in the public URL', { HOST: '0.0.0.0', PORT: '9000' }, c => c.publicUrl, 'http://0.0.0.0:9000'],
    ['a public URL, without its last slash', { PUBLIC_URL: 'https://api.test/' }, c => c.publicUrl, 'https://api.test'],
    ['port 0', { PORT: '0' }, c => c.port, 0],
    ['a metrics port', { METRICS_PORT: '9100' }, c => c.metricsPort, 9100],
    ['a relative folder', { DATA_DIR: 'x/y' }, c => c.dataDir, resolve('x/y')],
    ['digits as a text', { OPENROUTER_API_KEY: '123' }, c => c.upstreams.openRouter?.apiKey, '123'],
    [
      'an OpenRouter key',
      { OPENROUTER_API_KEY: 'k' },
      c => c.upstreams.openRouter,
      { baseUrl: 'https://openrouter.ai/api/v1', apiKey: 'k' },
    ],
    [
      'another server without a key',
      { OPENROUTER_BASE_URL: 'http://h:1/v1//' },
      c => c.upstreams.openRouter,
      { baseUrl: 'http://h:1/v1', apiKey: undefined },
    ],
    [
      'timeouts in seconds',
      { UPSTREAM_REPLY_TIMEOUT_SECONDS: '3', UPSTREAM_IDLE_TIMEOUT_SECONDS: '2' },
      c => [c.upstreams.replyTimeoutMs, c.upstreams.idleTimeoutMs],
      [3_000, 2_000],
    ],
    ['a variable that CATALOG_FILE names', { GPU_KEY: 'g' }, c => c.secret('GPU_KEY'), 'g'],
    ['an empty variable that CATALOG_FILE names', { GPU_KEY: '' }, c => c.secret('GPU_KEY'), undefined],
    ['a variable that CATALOG_FILE names and nobody set', {}, c => c.secret('GPU_KEY'), undefined],
    [
      'secrets keys, in order',
      { SECRETS_KEY: `k2:${'ab'.repeat(32)}, k-1:${'CD'.repeat(32)}` },
      c => c.secretsKeys,
      [
        { id: 'k2', bytes: Buffer.alloc(32, 0xab) },
        { id: 'k-1', bytes: Buffer.alloc(32, 0xcd) },
      ],
    ],
    ['private addresses', { OUTBOUND_ALLOW_PRIVATE: 'true' }, c => c.outbound.allowPrivate, true],
    [
      'an S3 server',
      { S3_ENDPOINT: 'http://s3:9000', S3_ACCESS_KEY_ID: 'a', S3_SECRET_ACCESS_KEY: 'b' },
      c => c.s3,
      { endpoint: 'http://s3:9000', region: 'us-east-1', bucket: 'ipop', accessKeyId: 'a', secretAccessKey: 'b' },
    ],
  ])('%s', (_what, env, read, value) => {
    expect(read(readConfig(env))).toEqual(value)
  })
})

describe('a wrong variable is one sentence that names it and does not show it', () => {
  test.each<[string, string]>([
    ['PORT', 'eighty'],
    ['PORT', '80.5'],
    ['PORT', '-1'],
    ['PORT', '65536'],
    ['PORT', 'true'],
    ['PORT', '0x50'],
    ['PORT', '1e3'],
    ['PORT', '8080n'],
    ['METRICS_PORT', 'no'],
    ['LOG_LEVEL', 'loud'],
    ['DATABASE_URL', 'mysql://user:hunter2@host/db'],
    ['DATABASE_POOL_SIZE', '1'],
    ['DATABASE_POOL_SIZE', '201'],
    ['TEMPORAL_ADDRESS', 'http://host:7233'],
    ['TEMPORAL_ADDRESS', 'host'],
    ['ADMIN_TOKEN', 'hunter2'],
    ['SIGNING_KEY', 'hunter2'],
    ['SECRETS_KEY', 'hunter2'],
    ['SECRETS_KEY', `k1:${'a'.repeat(63)}`],
    ['SECRETS_KEY', 'a'.repeat(64)],
    ['SECRETS_KEY', `k1:${'a'.repeat(64)},`],
    ['OUTBOUND_ALLOW_PRIVATE', 'yes'],
    ['S3_ENDPOINT', 's3.test'],
    ['OPENROUTER_BASE_URL', 'localhost:11434'],
    ['UPSTREAM_REPLY_TIMEOUT_SECONDS', '0'],
    ['UPSTREAM_IDLE_TIMEOUT_SECONDS', '1.5'],
  ])('%s=%s', (name, value) => {
    const read = () => readConfig({ [name]: value })
    expect(read).toThrow(ConfigError)
    expect(read).toThrow(new RegExp(`^${name} is wrong: it must .*\\.$`))
    expect(read).not.toThrow(/hunter2/)
  })

  test('of a few allowed values names them', () => {
    expect(() => readConfig({ LOG_LEVEL: 'loud' })).toThrow(/trace, debug, info, warn, error, silent/)
  })

  test('an S3 endpoint needs its keys', () => {
    expect(() => readConfig({ S3_ENDPOINT: 'http://s3:9000', S3_ACCESS_KEY_ID: 'a' })).toThrow(
      /S3_SECRET_ACCESS_KEY must be set/,
    )
  })

  test('two secrets keys need two ids', () => {
    const SECRETS_KEY = `k1:${'ab'.repeat(32)},k1:${'cd'.repeat(32)}`
    expect(() => readConfig({ SECRETS_KEY })).toThrow(/^SECRETS_KEY is wrong: it names two keys of the same id\.$/)
  })

  test('what a process cannot do without', () => {
    expect(() => requireDatabaseUrl(readConfig({}))).toThrow(/^DATABASE_URL is not set/)
    expect(() => requireSigningKeys(readConfig({}))).toThrow(/^SIGNING_KEY is not set/)
    expect(() => requireSecretsKeys(readConfig({}))).toThrow(/^SECRETS_KEY is not set/)
    expect(requireDatabaseUrl(readConfig({ DATABASE_URL: 'postgres://h/d' }))).toBe('postgres://h/d')
    expect(requireSigningKeys(readConfig({ SIGNING_KEY: 'ab'.repeat(32) }))).toEqual([
      { id: 'k0', bytes: Buffer.alloc(32, 0xab) },
    ])
    const two = `k2:${'cd'.repeat(32)}, ${'ab'.repeat(32)}`
    expect(requireSigningKeys(readConfig({ SIGNING_KEY: two })).map(({ id }) => id)).toEqual(['k2', 'k0'])
    const twins = `${'ab'.repeat(32)},${'cd'.repeat(32)}`
    expect(() => readConfig({ SIGNING_KEY: twins })).toThrow(/^SIGNING_KEY is wrong: it names two keys of the same id/)
  })
})

test.each(['', 'https', '0', '65536', '443,', '4e2', '-1'])('OUTBOUND_PORTS %j names no port', text => {
  const read = () => readConfig({ OUTBOUND_PORTS: text === '' ? ' ' : text })
  expect(read).toThrow(/^OUTBOUND_PORTS is wrong: .* is no port\.$/)
})
