/**
 * An endpoint's metrics in the Prometheus text format: gauges over the last minute, with the reference platform's names (its
 * `*_total` names are gauges there, which scrapers accept), and latency histograms. Labels are the served entity and model.
 */
import type { InvocationRow } from '#contracts/usage.ts'

export const windowMs = 60_000
const bucketsMs = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000]

export interface MetricsOptions {
  rows: readonly InvocationRow[]
  /** Endpoint name by default label; given for the document of all endpoints. */
  perEndpoint: boolean
  /** Requests under way, by entity name. */
  concurrent?: Readonly<Record<string, number>>
}

export function metricsText({ rows, perEndpoint, concurrent = {} }: MetricsOptions): string {
  const groups = Map.groupBy(rows, (row) => labelsOf(row, perEndpoint))
  const gauge = (name: string, help: string, value: (rows: readonly InvocationRow[]) => number): string[] => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...[...groups].map(([labels, group]) => `${name}{${labels}} ${value(group)}`),
  ]
  const histogram = (name: string, help: string, value: (row: InvocationRow) => number): string[] => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} histogram`,
    ...[...groups].flatMap(([labels, group]) => histogramLines(name, labels, group.map(value))),
  ]
  const lines = [
    ...gauge('request_count_total', 'Requests in the last minute.', (group) => group.length),
    ...gauge('request_4xx_count_total', 'Requests answered 4xx in the last minute.', (group) => countOf(group, 400)),
    ...gauge('request_5xx_count_total', 'Requests answered 5xx in the last minute.', (group) => countOf(group, 500)),
    '# HELP provisioned_concurrent_requests_total Requests under way.',
    '# TYPE provisioned_concurrent_requests_total gauge',
    ...Object.entries(concurrent).map(
      ([entity, count]) => `provisioned_concurrent_requests_total{served_entity="${escapeLabel(entity)}"} ${count}`,
    ),
    ...histogram('request_latency_ms', 'Time from request to reply.', (row) => row.durationMs),
    ...histogram('model_prediction_latency_ms', 'Time inside the engine.', (row) => row.runMs),
    ...histogram('model_load_latency_ms', 'Time spent loading the model for a request.', (row) => row.loadMs),
  ]
  return `${lines.join('\n')}\n`
}

function labelsOf(row: InvocationRow, perEndpoint: boolean): string {
  const labels = {
    ...(perEndpoint ? { endpoint: row.endpoint } : {}),
    served_entity: row.entity ?? '',
    model: row.model ?? '',
  }
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(',')
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function countOf(rows: readonly InvocationRow[], from: number): number {
  return rows.filter((row) => row.status >= from && row.status < from + 100).length
}

function histogramLines(name: string, labels: string, values: readonly number[]): string[] {
  const counts = bucketsMs.map(
    (bound) => `${name}_bucket{${labels},le="${bound}"} ${values.filter((value) => value <= bound).length}`,
  )
  const sum = values.reduce((total, value) => total + value, 0)
  return [
    ...counts,
    `${name}_bucket{${labels},le="+Inf"} ${values.length}`,
    `${name}_sum{${labels}} ${sum}`,
    `${name}_count{${labels}} ${values.length}`,
  ]
}
