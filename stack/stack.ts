import { mkdirSync } from 'node:fs'
import { ConfigError, type Config } from '../infra/config.ts'
import { migrate } from '../infra/postgres/migrate.ts'
import { makePrivateFiles, takeFromOthers } from '../infra/private-files.ts'
import { ensureDevKey } from './account.ts'
import { guarded, startGuard } from './guard.ts'
import { manageProcess, type ManagedProcess, type ProcessSpec } from './managed-process.ts'
import { ourProcess } from './our-processes.ts'
import { keepPorts, requireFree, urlOf, type KeptPorts } from './ports.ts'
import { embeddedPostgres } from './postgres.ts'
import { stopLeftovers } from './leftovers.ts'
import { identify, type ProcessIdentity } from './process-identity.ts'
import { randomHex, secretFile } from './secrets.ts'
import { readStackFile, writeStackFile, type StackFile } from './stack-file.ts'
import { lockDataDir } from './stack-lock.ts'
import { prepareTemporal, stopOrphanedTemporal, temporalServer, withoutTemporal } from './temporal.ts'
import { findTemporalCli } from './temporal-cli.ts'
import { printWaiting, type Waiting } from './waiting.ts'

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
  printLine: (line: string) => void
  /** Run the API and the workers too; false gives the servers behind them alone. */
  withProcesses?: boolean
  /** Told of the stack before anything is started, so that it can be stopped meanwhile. */
  onBegin?: (stack: Pick<RunningStack, 'stop' | 'kill'>) => void
}

/** In the form of SECRETS_KEY. */
const newSecretsKey = () => `k1:${randomHex(32)()}`
/** Postgres sees to its own folder, and may run as another user. */
const OWN_MODES = ['postgres']
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

/** What those need who use it, known before it is ready. */
interface Server {
  env: NodeJS.ProcessEnv
  ready: Promise<void>
}

const NOW = Promise.resolve()

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
  private readonly waiting: Waiting
  private readonly ports: KeptPorts
  private readonly specs = new Map<string, ProcessSpec>()
  private stopped: Promise<void> | undefined
  private isReleased = false

  constructor(config: Config, options: StackOptions, release: () => void) {
    this.config = config
    this.options = options
    this.release = release
    this.waiting = printWaiting(options.printLine)
    this.adminToken = config.adminToken ?? secretFile(config.dataDir, 'dev-admin-token', randomHex(24))
    this.signingKey = options.env['SIGNING_KEY'] || secretFile(config.dataDir, 'signing-key', randomHex(32))
    this.secretsKey = options.env['SECRETS_KEY'] || secretFile(config.dataDir, 'secrets-key', newSecretsKey)
    this.earlier = readStackFile(config.dataDir)
    const supervisor = identify(process.pid)
    if (supervisor === undefined) throw new Error('this process cannot be identified')
    this.file = { version: 1, isPrivate: true, supervisor, processes: {}, ports: { ...this.earlier?.ports } }
    this.ports = keepPorts('127.0.0.1', this.file.ports)
  }

  get isStopping(): boolean {
    return this.stopping.signal.aborted
  }

  async start(): Promise<void> {
    try {
      await this.waiting.for('what an earlier run left', stopLeftovers(this.earlier))
      if (this.earlier?.isPrivate !== true) takeFromOthers(this.config.dataDir, OWN_MODES)
      const { host, port, metricsPort = 0 } = this.config
      if (this.options.withProcesses !== false) await requireFree(host, { PORT: port, METRICS_PORT: metricsPort })
      await this.startAll()
      this.save()
    } finally {
      this.waiting.end()
    }
  }

  /**
   * Everything as soon as what it needs is there, since most of a start is waiting. But Postgres comes first: Temporal's
   * own connections take any port that is free.
   */
  private async startAll(): Promise<void> {
    const database = await this.database()
    const temporal = this.temporal()
    const servers: Promise<unknown>[] = [database.ready, temporal.then(({ ready }) => ready)]
    // In production accounts are made by operators alone.
    if (!this.config.production) servers.push(database.ready.then(() => this.makeDevKey(database.url)))
    if (this.options.withProcesses === false) return void (await Promise.all(servers))
    const sandbox = this.sandbox()
    const env = Promise.all([temporal, sandbox]).then(([{ env: ofTemporal }, { env: ofSandbox }]) => ({
      ...ofTemporal,
      ...ofSandbox,
      ...this.secrets(),
      DATABASE_URL: database.url,
    }))
    const api = Promise.all([env, database.ready]).then(([known]) => this.startApi(known))
    const workers = Promise.all([env, ...servers]).then(([known]) => this.startWorkers(known))
    await Promise.all([...servers, sandbox.then(({ ready }) => ready), api, workers])
  }

  private async makeDevKey(databaseUrl: string): Promise<void> {
    this.apiKey = await this.waiting.for('the API key', ensureDevKey(this.config.dataDir, databaseUrl))
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

  /** Launched, where it is ours, and when it can be used. */
  private async database(): Promise<{ url: string; ready: Promise<void> }> {
    const given = this.config.database.url
    const { url, started } = given === undefined ? await this.embeddedDatabase() : { url: given, started: NOW }
    this.file.databaseUrl = url
    return { url, ready: started.then(() => this.migrateDatabase(url)) }
  }

  private async migrateDatabase(url: string): Promise<void> {
    const { applied, version } = await this.waiting.for('the migration of the database', migrate(url))
    if (applied.length > 0) this.options.printLine(`Migrated the database to version ${version}.`)
  }

  private async embeddedDatabase() {
    const { dataDir } = this.config
    const postgres = await embeddedPostgres(dataDir, () => this.ports.take('postgres'), this.options.printLine)
    return { url: postgres.databaseUrl, started: this.run(this.servers, postgres.spec).then(() => postgres.prepare()) }
  }

  /** The environment of what speaks to Temporal, and when it may. */
  private async temporal(): Promise<Server> {
    const { address, uiUrl } = this.config.temporal
    const own = address === undefined ? await this.embeddedTemporal() : undefined
    const known = own ?? { address, uiUrl, env: this.options.env, started: Promise.resolve() }
    this.file.temporalAddress = known.address ?? ''
    if (known.uiUrl !== undefined) this.file.temporalUiUrl = known.uiUrl
    const env = { ...known.env, TEMPORAL_ADDRESS: this.file.temporalAddress }
    return {
      env: known.uiUrl === undefined ? env : { ...env, TEMPORAL_UI_URL: known.uiUrl },
      ready: this.waiting.for(
        "Temporal's namespace",
        known.started.then(() => prepareTemporal(this.config, own?.address, this.options.printLine)),
      ),
    }
  }

  private async embeddedTemporal() {
    await stopOrphanedTemporal(this.config.dataDir)
    const search = findTemporalCli({ ...this.options, signal: this.stopping.signal })
    const cli = await this.waiting.for("Temporal's CLI", search)
    const ports = {
      grpc: await this.ports.take('temporal'),
      ui: await this.ports.take('temporalUi'),
      metrics: await this.ports.take('temporalMetrics'),
    }
    const { dataDir, temporal } = this.config
    const started = this.run(this.servers, temporalServer(cli, { dataDir, namespace: temporal.namespace, ports }))
    const env = withoutTemporal(this.options.env, dataDir)
    return { address: `127.0.0.1:${ports.grpc}`, uiUrl: `http://127.0.0.1:${ports.ui}`, env, started }
  }

  private secrets() {
    return {
      DATA_DIR: this.config.dataDir,
      ADMIN_TOKEN: this.adminToken,
      SIGNING_KEY: this.signingKey,
      SECRETS_KEY: this.secretsKey,
    }
  }

  private async startWorkers(env: NodeJS.ProcessEnv): Promise<void> {
    const start = async (roles: string) => {
      const metricsPort = await this.ports.take(`${roles.split(' ', 1)[0]}Metrics`)
      await this.run(this.processes, ourProcess(`worker ${roles}`, { ...env, METRICS_PORT: String(metricsPort) }))
    }
    await Promise.all(['control', 'model', 'interactive provider-jobs'].map(start))
  }

  private async startApi(env: NodeJS.ProcessEnv): Promise<void> {
    await this.run(this.processes, ourProcess('api', { ...env, ...(await this.apiPorts()) }))
  }

  private async apiPorts() {
    const { host, metricsPort } = this.config
    const port = this.config.port === 0 ? await this.ports.take('api') : this.config.port
    const metrics = metricsPort ?? (await this.ports.take('apiMetrics'))
    this.file.ports['api'] = port
    this.file.ports['apiMetrics'] = metrics
    this.file.apiUrl = urlOf(host, port)
    return { PORT: String(port), METRICS_PORT: String(metrics) }
  }

  /** Only where no upstream is configured, and not in production. */
  private async sandbox(): Promise<Server> {
    const { openRouter, sandboxUrl } = this.config.upstreams
    if (openRouter !== undefined || sandboxUrl !== undefined || this.config.production) return { env: {}, ready: NOW }
    const port = await this.ports.take('sandbox')
    const spec = ourProcess(`sandbox --port ${port}`, { ...this.options.env, ...this.secrets() })
    return { env: { SANDBOX_URL: `http://127.0.0.1:${port}/v1` }, ready: this.run(this.servers, spec) }
  }

  /** Known to `stop` and `kill` before it is ready. */
  private async run(group: ManagedProcess[], spec: ProcessSpec): Promise<void> {
    this.stopping.signal.throwIfAborted()
    const changed = (name: string, identity: ProcessIdentity | undefined) => this.changed(name, identity)
    this.specs.set(spec.name, spec)
    const managed = manageProcess(this.config.dataDir, spec, { changed, printLine: this.options.printLine })
    group.push(managed)
    await this.waiting.for(spec.name, managed.ready)
    this.stopping.signal.throwIfAborted()
  }

  private changed(name: string, identity: ProcessIdentity | undefined): void {
    if (identity === undefined) delete this.file.processes[name]
    else this.file.processes[name] = identity
    this.guard.watch(Object.entries(this.file.processes).flatMap(([known, one]) => guarded(this.specs.get(known), one)))
    this.save()
  }

  private save(): void {
    if (!this.isReleased) writeStackFile(this.config.dataDir, this.file)
  }
}
