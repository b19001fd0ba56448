/** The invocation log: one row for every request that reached an endpoint, whatever became of it. */
export interface InvocationRow {
  requestId: string
  clientRequestId: string | null
  endpointId: string
  endpoint: string
  /** The served entity that answered; null where the request ended before one was chosen. */
  entity: string | null
  /** `name/version` of what it serves. */
  model: string | null
  requester: string
  startedMs: number
  durationMs: number
  status: number
  promptTokens: number
  completionTokens: number
  /** Time inside the engine, and of loading the model. */
  runMs: number
  loadMs: number
}

/** Where rows go. Recording never delays or fails a reply. */
export interface UsageSink {
  /** @param keepAlive keeps the runtime at work until the promise settles. */
  record(row: InvocationRow, keepAlive: (promise: Promise<unknown>) => void): void
}
