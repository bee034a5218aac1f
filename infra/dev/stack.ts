import { mkdirSync } from 'node:fs'
import { ConfigError, type Config } from '../config.ts'
import { createLog } from '../log.ts'
import { migrate } from '../postgres/migrate.ts'
import { connectTemporal } from '../temporal/connection.ts'
import { prepareNamespace } from '../temporal/namespace.ts'
import { ensureDevKey } from './account.ts'
import { manageProcess, type ManagedProcess, type ProcessSpec } from './managed-process.ts'
import { ourProcess } from './our-processes.ts'
import { isFree, keptPort } from './ports.ts'
import { embeddedPostgres } from './postgres.ts'
import { identify, stopProcess } from './process-identity.ts'
import { randomHex, secretFile } from './secrets.ts'
import { readStackFile, writeStackFile, type StackFile } from './stack-file.ts'
import { lockDataDir } from './stack-lock.ts'
import { temporalServer } from './temporal.ts'
import { findTemporalCli } from './temporal-cli.ts'

export interface RunningStack {
  file: StackFile
  apiKey: string
  adminToken: string
  signingKey: string
  /** In order: what takes requests first, what others need last. */
  stop(): Promise<void>
  /** At once. */
  kill(): void
}

export interface StackOptions {
  env: NodeJS.ProcessEnv
  say: (line: string) => void
  /** Run the API and the workers too; false gives the servers behind them alone. */
  withProcesses?: boolean
  /** Told of the stack before anything is started, so that it can be stopped meanwhile. */
  onBegin?: (stack: Pick<RunningStack, 'stop' | 'kill'>) => void
}

const LEFTOVER_GRACE_MS = 5_000

/**
 * Runs everything on this machine that the configuration does not name elsewhere: Postgres, Temporal, the sandbox
 * model, workers and the API; what ends unasked is started again. What an earlier run left is stopped first.
 * Errors: ConfigError with a sentence for the person who started it; nothing is left running then.
 */
export async function startStack(config: Config, options: StackOptions): Promise<RunningStack> {
  mkdirSync(config.dataDir, { recursive: true })
  const lock = await lockDataDir(config.dataDir)
  const stack = new Stack(config, options, () => lock.release())
  options.onBegin?.(stack)
  try {
    await stack.start()
    return stack
  } catch (error) {
    await stack.stop()
    throw error
  }
}

class Stack implements RunningStack {
  apiKey = ''
  adminToken = ''
  signingKey = ''
  readonly file: StackFile
  private readonly running: ManagedProcess[] = []
  private readonly config: Config
  private readonly options: StackOptions
  private readonly release: () => void
  private readonly earlier: StackFile | undefined

  constructor(config: Config, options: StackOptions, release: () => void) {
    this.config = config
    this.options = options
    this.release = release
    this.earlier = readStackFile(config.dataDir)
    const supervisor = identify(process.pid)
    if (supervisor === undefined) throw new Error('this process cannot be identified')
    this.file = { version: 1, supervisor, processes: {}, ports: { ...this.earlier?.ports } }
  }

  async start(): Promise<void> {
    await this.stopLeftovers()
    await this.requireApiPort()
    const databaseUrl = await this.database()
    const temporal = await this.temporal()
    const env = this.environment({ ...databaseUrl, ...temporal })
    this.adminToken = env['ADMIN_TOKEN'] ?? ''
    this.signingKey = env['SIGNING_KEY'] ?? ''
    this.apiKey = await ensureDevKey(this.config.dataDir, env['DATABASE_URL'] ?? '')
    if (this.options.withProcesses !== false) await this.processes(env)
    this.save()
  }

  async stop(): Promise<void> {
    this.stopping = true
    // API and workers stop together; the servers that they need follow, each alone.
    const servers = new Set(this.running.slice(0, this.serverCount))
    await Promise.all(this.running.filter(managed => !servers.has(managed)).map(managed => managed.stop()))
    for (const server of [...servers].reverse()) await server.stop()
    this.release()
  }

  kill(): void {
    this.stopping = true
    this.running.forEach(managed => managed.kill())
    this.release()
  }

  private serverCount = 0
  private stopping = false

  private async stopLeftovers(): Promise<void> {
    const left = Object.entries(this.earlier?.processes ?? {}).reverse()
    for (const [name, identity] of left) {
      const signal = name === 'postgres' ? 'SIGINT' : 'SIGTERM'
      await stopProcess(identity, signal, LEFTOVER_GRACE_MS)
    }
  }

  private async requireApiPort(): Promise<void> {
    const { host, port } = this.config
    if (port === 0 || this.options.withProcesses === false || (await isFree(host, port))) return
    throw new ConfigError(`Port ${port} of ${host} is in use: stop what listens there, or set PORT to another one.`)
  }

  private async database(): Promise<NodeJS.ProcessEnv> {
    const url = this.config.database.url ?? (await this.embeddedDatabase())
    const { applied, version } = await migrate(url)
    if (applied.length > 0) this.options.say(`Migrated the database to version ${version}.`)
    this.file.databaseUrl = url
    return { DATABASE_URL: url }
  }

  private async embeddedDatabase(): Promise<string> {
    const port = await this.port('postgres')
    const postgres = await embeddedPostgres(this.config.dataDir, port, this.options.say)
    await this.run(postgres.spec)
    this.serverCount = this.running.length
    await postgres.prepare()
    return postgres.databaseUrl
  }

  private async temporal(): Promise<NodeJS.ProcessEnv> {
    const { address, uiUrl, namespace } = this.config.temporal
    const own = address === undefined ? await this.embeddedTemporal() : { address, uiUrl }
    const connection = connectTemporal({ temporal: { address: own.address } })
    try {
      await prepareNamespace(connection, namespace, createLog('start', 'warn'))
    } finally {
      await connection.close()
    }
    this.file.temporalAddress = own.address
    if (own.uiUrl !== undefined) this.file.temporalUiUrl = own.uiUrl
    return { TEMPORAL_ADDRESS: own.address, ...(own.uiUrl === undefined ? {} : { TEMPORAL_UI_URL: own.uiUrl }) }
  }

  private async embeddedTemporal(): Promise<{ address: string; uiUrl: string }> {
    const cli = await findTemporalCli(this.options)
    const ports = {
      grpc: await this.port('temporal'),
      ui: await this.port('temporalUi'),
      metrics: await this.port('temporalMetrics'),
    }
    await this.run(temporalServer(cli, this.config.dataDir, ports))
    this.serverCount = this.running.length
    return { address: `127.0.0.1:${ports.grpc}`, uiUrl: `http://127.0.0.1:${ports.ui}` }
  }

  private environment(found: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    const { dataDir } = this.config
    return {
      ADMIN_TOKEN: secretFile(dataDir, 'dev-admin-token', randomHex(24)),
      SIGNING_KEY: secretFile(dataDir, 'signing-key', randomHex(32)),
      ...this.options.env,
      DATA_DIR: dataDir,
      ...found,
    }
  }

  private async processes(shared: NodeJS.ProcessEnv): Promise<void> {
    const env = { ...shared, ...(await this.sandbox(shared)) }
    const metrics = async (name: string) => ({ METRICS_PORT: String(await this.port(name)) })
    await Promise.all([
      this.run(ourProcess('worker control', { ...env, ...(await metrics('controlMetrics')) })),
      this.run(ourProcess('worker model', { ...env, ...(await metrics('modelMetrics')) })),
      this.api(env),
    ])
  }

  private async api(env: NodeJS.ProcessEnv): Promise<void> {
    const { host, metricsPort } = this.config
    const port = this.config.port === 0 ? await this.port('api') : this.config.port
    this.file.ports['api'] = port
    this.file.ports['apiMetrics'] = metricsPort ?? (await this.port('apiMetrics'))
    this.file.apiUrl = `http://${host}:${port}`
    const ports = { PORT: String(port), METRICS_PORT: String(this.file.ports['apiMetrics']) }
    await this.run(ourProcess('api', { ...env, ...ports }))
  }

  /** Only where no upstream is configured, and not in production. */
  private async sandbox(env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
    const { openRouter, sandboxUrl } = this.config.upstreams
    if (openRouter !== undefined || sandboxUrl !== undefined || this.config.production) return {}
    const port = await this.port('sandbox')
    await this.run(ourProcess(`sandbox --port ${port}`, env))
    return { SANDBOX_URL: `http://127.0.0.1:${port}/v1` }
  }

  private async port(name: string): Promise<number> {
    const port = await keptPort('127.0.0.1', this.file.ports[name])
    this.file.ports[name] = port
    return port
  }

  private async run(spec: ProcessSpec): Promise<void> {
    const changed = (name: string, identity: StackFile['supervisor'] | undefined) => {
      if (identity === undefined) delete this.file.processes[name]
      else this.file.processes[name] = identity
      this.save()
    }
    this.requireWanted()
    const managed = await manageProcess(this.config.dataDir, spec, { changed, say: this.options.say })
    this.running.push(managed)
    if (this.stopping) await managed.stop()
    this.requireWanted()
  }

  private requireWanted(): void {
    if (this.stopping) throw new ConfigError('Stopped while it was starting.')
  }

  private save(): void {
    writeStackFile(this.config.dataDir, this.file)
  }
}
