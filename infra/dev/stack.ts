import { mkdirSync } from 'node:fs'
import { ConfigError, type Config } from '../config.ts'
import { migrate } from '../postgres/migrate.ts'
import { makePrivateFiles, takeFromOthers } from '../private-files.ts'
import { connectPlain, connectTemporal } from '../temporal/connection.ts'
import { prepareNamespace } from '../temporal/namespace.ts'
import { ensureDevKey } from './account.ts'
import { startGuard, type GuardedProcess } from './guard.ts'
import { manageProcess, type ManagedProcess, type ProcessSpec } from './managed-process.ts'
import { ourProcess } from './our-processes.ts'
import { keptPort, urlOf, whyNotFree } from './ports.ts'
import { embeddedPostgres } from './postgres.ts'
import { identify, stopProcess, type ProcessIdentity } from './process-identity.ts'
import { randomHex, secretFile } from './secrets.ts'
import { readStackFile, writeStackFile, type StackFile } from './stack-file.ts'
import { lockDataDir } from './stack-lock.ts'
import { stopForgottenTemporal, temporalServer, withoutTemporal } from './temporal.ts'
import { findTemporalCli } from './temporal-cli.ts'

export interface RunningStack {
  file: StackFile
  apiKey: string
  adminToken: string
  signingKey: string
  secretsKey: string
  /** In order: what takes requests first, what others need last. Ten seconds at the most. */
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

/** In the form of SECRETS_KEY. */
const newSecretsKey = () => `k1:${randomHex(32)()}`
/** Postgres sees to its own folder, and may run as another user. */
const OWN_MODES = ['postgres']
const LEFTOVER_GRACE_MS = 5_000
const STOP_WITHIN_MS = 9_500

/**
 * Runs everything on this machine that the configuration does not name elsewhere: Postgres, Temporal, the sandbox
 * model, workers and the API; what ends unasked is started again. What an earlier run left is stopped first.
 * Errors: ConfigError with a sentence for the person who started it; nothing is left running then.
 */
export async function startStack(config: Config, options: StackOptions): Promise<RunningStack> {
  makePrivateFiles()
  mkdirSync(config.dataDir, { recursive: true })
  const lock = lockDataDir(config.dataDir)
  const stack = new Stack(config, options, lock.release)
  options.onBegin?.(stack)
  try {
    await stack.start()
    return stack
  } catch (error) {
    const reason = stack.isStopping ? new ConfigError('Stopped while it was starting.') : error
    await stack.stop()
    throw reason
  }
}

class Stack implements RunningStack {
  apiKey = ''
  readonly adminToken: string
  readonly signingKey: string
  readonly secretsKey: string
  readonly file: StackFile
  /** Postgres, Temporal, the sandbox model: what the processes need. */
  private readonly servers: ManagedProcess[] = []
  /** API and workers. */
  private readonly processes: ManagedProcess[] = []
  private readonly config: Config
  private readonly options: StackOptions
  private readonly release: () => void
  private readonly earlier: StackFile | undefined
  private readonly stopping = new AbortController()
  private readonly guard = startGuard()
  private readonly specs = new Map<string, ProcessSpec>()
  private stopped: Promise<void> | undefined
  private isReleased = false

  constructor(config: Config, options: StackOptions, release: () => void) {
    this.config = config
    this.options = options
    this.release = release
    this.adminToken = config.adminToken ?? secretFile(config.dataDir, 'dev-admin-token', randomHex(24))
    this.signingKey = config.signingKey ?? secretFile(config.dataDir, 'signing-key', randomHex(32))
    this.secretsKey = options.env['SECRETS_KEY'] || secretFile(config.dataDir, 'secrets-key', newSecretsKey)
    this.earlier = readStackFile(config.dataDir)
    const supervisor = identify(process.pid)
    if (supervisor === undefined) throw new Error('this process cannot be identified')
    this.file = { version: 1, isPrivate: true, supervisor, processes: {}, ports: { ...this.earlier?.ports } }
  }

  get isStopping(): boolean {
    return this.stopping.signal.aborted
  }

  async start(): Promise<void> {
    await this.stopLeftovers()
    if (this.earlier?.isPrivate !== true) takeFromOthers(this.config.dataDir, OWN_MODES)
    await this.requirePorts()
    const databaseUrl = await this.database()
    const env = { ...(await this.temporal()), ...this.secrets(), DATABASE_URL: databaseUrl }
    // In production accounts are made by operators alone.
    if (!this.config.production) this.apiKey = await ensureDevKey(this.config.dataDir, databaseUrl)
    if (this.options.withProcesses !== false) await this.startProcesses(env)
    this.save()
  }

  stop(): Promise<void> {
    this.stopped ??= this.stopInOrder()
    return this.stopped
  }

  private async stopInOrder(): Promise<void> {
    this.stopping.abort()
    const untilMs = Date.now() + STOP_WITHIN_MS
    const stopAll = (group: ManagedProcess[]) => Promise.all(group.map(one => one.stop(untilMs - Date.now())))
    await stopAll(this.processes)
    await stopAll(this.servers)
    this.end()
  }

  kill(): void {
    this.stopping.abort()
    for (const one of [...this.processes, ...this.servers]) one.kill()
    this.end()
  }

  /** From here on DATA_DIR may be another supervisor's. */
  private end(): void {
    if (this.isReleased) return
    this.isReleased = true
    this.guard.close()
    this.release()
  }

  private async stopLeftovers(): Promise<void> {
    const left = Object.entries(this.earlier?.processes ?? {}).reverse()
    for (const [name, identity] of left) {
      await stopProcess(identity, name === 'postgres' ? 'SIGINT' : 'SIGTERM', LEFTOVER_GRACE_MS)
    }
  }

  /** Before anything is started. */
  private async requirePorts(): Promise<void> {
    if (this.options.withProcesses === false) return
    const { host, port, metricsPort = 0 } = this.config
    for (const [variable, wanted] of Object.entries({ PORT: port, METRICS_PORT: metricsPort })) {
      const problem = await whyNotFree(host, wanted, variable)
      if (problem !== undefined) throw new ConfigError(problem)
    }
  }

  private async database(): Promise<string> {
    const url = this.config.database.url ?? (await this.embeddedDatabase())
    const { applied, version } = await migrate(url)
    if (applied.length > 0) this.options.say(`Migrated the database to version ${version}.`)
    this.file.databaseUrl = url
    return url
  }

  private async embeddedDatabase(): Promise<string> {
    const postgres = await embeddedPostgres(this.config.dataDir, await this.port('postgres'), this.options.say)
    await this.run(this.servers, postgres.spec)
    await postgres.prepare()
    return postgres.databaseUrl
  }

  /** The environment of what speaks to Temporal. */
  private async temporal(): Promise<NodeJS.ProcessEnv> {
    const { address, uiUrl, namespace } = this.config.temporal
    const own = address === undefined ? await this.embeddedTemporal() : { address, uiUrl, env: this.options.env }
    const connection = address === undefined ? connectPlain(own.address) : connectTemporal(this.config)
    try {
      await prepareNamespace(connection, namespace, this.options.say)
    } finally {
      await connection.close()
    }
    this.file.temporalAddress = own.address
    if (own.uiUrl === undefined) return { ...own.env, TEMPORAL_ADDRESS: own.address }
    this.file.temporalUiUrl = own.uiUrl
    return { ...own.env, TEMPORAL_ADDRESS: own.address, TEMPORAL_UI_URL: own.uiUrl }
  }

  private async embeddedTemporal() {
    await stopForgottenTemporal(this.config.dataDir)
    const cli = await findTemporalCli({ ...this.options, signal: this.stopping.signal })
    const ports = {
      grpc: await this.port('temporal'),
      ui: await this.port('temporalUi'),
      metrics: await this.port('temporalMetrics'),
    }
    const { dataDir, temporal } = this.config
    await this.run(this.servers, temporalServer(cli, { dataDir, namespace: temporal.namespace, ports }))
    const env = withoutTemporal(this.options.env, dataDir)
    return { address: `127.0.0.1:${ports.grpc}`, uiUrl: `http://127.0.0.1:${ports.ui}`, env }
  }

  private secrets() {
    return {
      DATA_DIR: this.config.dataDir,
      ADMIN_TOKEN: this.adminToken,
      SIGNING_KEY: this.signingKey,
      SECRETS_KEY: this.secretsKey,
    }
  }

  private async startProcesses(shared: NodeJS.ProcessEnv): Promise<void> {
    const env = { ...shared, ...(await this.sandbox(shared)) }
    const metricsOf = async (name: string) => ({ METRICS_PORT: String(await this.port(name)) })
    const specs = [
      ourProcess('worker control', { ...env, ...(await metricsOf('controlMetrics')) }),
      ourProcess('worker model', { ...env, ...(await metricsOf('modelMetrics')) }),
      ourProcess('worker interactive media', { ...env, ...(await metricsOf('interactiveMetrics')) }),
      ourProcess('api', { ...env, ...(await this.apiPorts()) }),
    ]
    await Promise.all(specs.map(spec => this.run(this.processes, spec)))
  }

  private async apiPorts() {
    const { host, metricsPort } = this.config
    const port = this.config.port === 0 ? await this.port('api') : this.config.port
    const metrics = metricsPort ?? (await this.port('apiMetrics'))
    this.file.ports['api'] = port
    this.file.ports['apiMetrics'] = metrics
    this.file.apiUrl = urlOf(host, port)
    return { PORT: String(port), METRICS_PORT: String(metrics) }
  }

  /** Only where no upstream is configured, and not in production. */
  private async sandbox(env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
    const { openRouter, sandboxUrl } = this.config.upstreams
    if (openRouter !== undefined || sandboxUrl !== undefined || this.config.production) return {}
    const port = await this.port('sandbox')
    await this.run(this.servers, ourProcess(`sandbox --port ${port}`, env))
    return { SANDBOX_URL: `http://127.0.0.1:${port}/v1` }
  }

  private async port(name: string): Promise<number> {
    const others = Object.entries(this.file.ports).filter(([other]) => other !== name)
    const port = await keptPort('127.0.0.1', this.file.ports[name], new Set(others.map(([, taken]) => taken)))
    this.file.ports[name] = port
    return port
  }

  /** Known to `stop` and `kill` before it is ready. */
  private async run(group: ManagedProcess[], spec: ProcessSpec): Promise<void> {
    this.stopping.signal.throwIfAborted()
    const changed = (name: string, identity: ProcessIdentity | undefined) => this.changed(name, identity)
    this.specs.set(spec.name, spec)
    const managed = manageProcess(this.config.dataDir, spec, { changed, say: this.options.say })
    group.push(managed)
    await managed.ready
    this.stopping.signal.throwIfAborted()
  }

  private changed(name: string, identity: ProcessIdentity | undefined): void {
    if (identity === undefined) delete this.file.processes[name]
    else this.file.processes[name] = identity
    this.guard.watch(Object.entries(this.file.processes).flatMap(([known, one]) => this.guarded(known, one)))
    this.save()
  }

  private guarded(name: string, identity: ProcessIdentity): GuardedProcess[] {
    const spec = this.specs.get(name)
    if (spec === undefined) return []
    const { stopSignal, stopGraceMs } = spec
    return [{ identity, stopSignal: spec.isReady === 'message' ? undefined : stopSignal, stopGraceMs }]
  }

  private save(): void {
    if (!this.isReleased) writeStackFile(this.config.dataDir, this.file)
  }
}
