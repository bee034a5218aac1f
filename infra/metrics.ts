import { createServer, type Server } from 'node:http'
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** What a process tells Prometheus. Durations are in seconds. */
export function createMetrics(service: string) {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  return {
    registry,
    requests: new Histogram({
      name: 'ipop_http_request_duration_seconds',
      help: 'API requests by route and status',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300],
      registers,
    }),
    modelCalls: new Counter({
      name: 'ipop_model_calls_total',
      help: 'Model calls by upstream, surface and outcome',
      labelNames: ['upstream', 'surface', 'status'],
      registers,
    }),
    tokens: new Counter({
      name: 'ipop_tokens_total',
      help: 'Tokens of model calls',
      labelNames: ['model', 'direction'],
      registers,
    }),
    unchargedUsd: new Counter({
      name: 'ipop_uncharged_usd_total',
      help: 'Used upstream by attempts of jobs that failed, at our prices, and charged to nobody',
      labelNames: ['upstream'],
      registers,
    }),
    commitSize: new Histogram({
      name: 'ipop_commit_group_size',
      help: 'Calls in one commit',
      buckets: [1, 2, 5, 10, 25, 50, 100, 200],
      registers,
    }),
    orphanedHolds: new Counter({
      name: 'ipop_holds_repaired_total',
      help: 'Holds that had outlived their jobs and were released',
      registers,
    }),
    waitingCommands: new Gauge({ name: 'ipop_job_commands_waiting', help: 'Job commands not carried yet', registers }),
  }
}

export type Metrics = ReturnType<typeof createMetrics>
export type MetricsSource = { contentType: string; metrics(): Promise<string> }

/** Lets the first process of a cluster ask for this one's. */
export function shareMetrics({ registry }: Metrics): void {
  AggregatorRegistry.setRegistries([registry])
  // Making one is what listens.
  void new AggregatorRegistry()
}

/** What all processes of a cluster tell, added up; for its first process. */
export function metricsOfCluster(): MetricsSource {
  const registry = new AggregatorRegistry()
  return { contentType: registry.contentType, metrics: () => registry.clusterMetrics() }
}

/** Serves `/metrics` on a port of its own; resolves with the server when it listens. */
export function serveMetrics(registry: MetricsSource, host: string, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') return void response.writeHead(404).end()
    registry.metrics().then(
      text => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve(server))
  })
}
