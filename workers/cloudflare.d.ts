/** The parts of the Workers runtime that glim uses and that the DOM and Node types lack. */
declare module 'cloudflare:workers' {
  export abstract class DurableObject<Env = unknown> {
    protected readonly ctx: DurableObjectState
    protected readonly env: Env
    constructor(ctx: DurableObjectState, env: Env)
  }
  export abstract class WorkerEntrypoint<Env = unknown, Props = unknown> {
    protected readonly ctx: ExecutionContext & { readonly props: Props }
    protected readonly env: Env
    constructor(ctx: ExecutionContext, env: Env)
  }
  /** Ends the calling isolate: its memory comes back and the next request loads it afresh. The call itself fails. */
  export function abortIsolate(reason: string): never
}

interface ServiceBinding {
  fetch(url: string | Request, init?: RequestInit): Promise<Response>
}

interface ExecutionContext {
  waitUntil(promise: Promise<unknown>): void
  /** Loopback entrypoints of this worker, specialised with props. */
  readonly exports: Record<string, (options: { props: unknown }) => ServiceBinding>
}

interface DurableObjectState extends ExecutionContext {
  readonly id: { toString(): string; readonly name?: string }
  readonly storage: DurableObjectStorage
  readonly facets: {
    get(
      name: string,
      start: () => Promise<{ class: unknown }>,
    ): ServiceBinding & { douse(): Promise<void>; saveSnapshot(): Promise<void> }
    abort(name: string, reason: unknown): void
  }
  /** Ends this object: its memory comes back, requests under way fail, and the next request makes it anew. */
  abort(reason: string): void
  blockConcurrencyWhile<T>(body: () => Promise<T>): Promise<T>
}

interface DurableObjectStorage {
  readonly sql: {
    exec(
      query: string,
      ...bindings: (string | number | null | ArrayBuffer)[]
    ): { toArray(): Record<string, string | number | null | ArrayBuffer>[] }
  }
  transactionSync<T>(body: () => T): T
  getAlarm(): Promise<number | null>
  setAlarm(timeMs: number): Promise<void>
  deleteAlarm(): Promise<void>
  /** Resolves once everything written is on disk. */
  sync(): Promise<void>
}

interface DurableObjectNamespace<T = ServiceBinding> {
  getByName(name: string): T
}

interface WorkerLoader {
  get(id: string, code: () => Promise<DynamicWorkerCode>): { getDurableObjectClass(name: string): unknown }
}

interface DynamicWorkerCode {
  compatibilityDate: string
  compatibilityFlags?: readonly string[]
  mainModule: string
  modules: Record<string, string | WebAssembly.Module | { js: string } | { wasm: WebAssembly.Module }>
  env: Record<string, unknown>
  globalOutbound: null
}

/** A stream that says its length, and whose writes resolve once the bytes were read. */
declare class FixedLengthStream extends TransformStream<Uint8Array, Uint8Array> {
  constructor(sizeBytes: number)
}

/** Hands bytes through as they come, without a copy in JavaScript. */
declare class IdentityTransformStream extends TransformStream<Uint8Array, Uint8Array> {}

declare module '*.js.txt' {
  const text: string
  export default text
}
declare module '*.wasm' {
  const module: WebAssembly.Module
  export default module
}
