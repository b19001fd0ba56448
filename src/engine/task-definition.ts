/** What a task is: it reads the small files of a model once, and then turns requests into runs of the graph. */
import type { Capabilities } from '#contracts/capabilities.ts'
import type { GenerationEvent, GenerationRequest } from '#contracts/generation.ts'
import type { InvocationReply, InvocationRequest } from '#contracts/invocation.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import type { Signature } from '#contracts/signature.ts'
import type { Task } from '#contracts/task.ts'
import type { Ort } from './ort/instance.ts'
import type { OrtSession } from './ort/session.ts'

export interface TaskContext {
  ort: Ort
  session: OrtSession
  reader: ArtifactReader
  /** Task options fixed at import, such as the pooling of an embedder. */
  options: Readonly<Record<string, unknown>>
  /** What the engine's heap may grow to: the isolate's memory limit less what lies outside of the heap. */
  heapLimitBytes?: number
  /** Precompiled modules that a task needs beside ORT, by name (`jpeg`). */
  wasm?: Readonly<Record<string, WebAssembly.Module>>
}

export interface LoadedTask {
  readonly signature: Signature
  /** @throws {ServingError} 400 where the task or the graph refuses this input. */
  invoke(request: InvocationRequest, signal?: AbortSignal): Promise<InvocationReply> | InvocationReply
  /** Runs the model to find what it can do; some seconds at most. Absent where rows run one by one whatever the model. */
  measure?(): Capabilities
  /**
   * Only of tasks that write text. Resolves once the request is taken up; returning from the iteration, or the signal, ends the work
   * within one step.
   *
   * @throws {ServingError} 400 for a request that the model cannot take, 429 where the queue is full (retryable).
   */
  generate?(request: GenerationRequest, signal?: AbortSignal): Promise<AsyncIterable<GenerationEvent>>
  /** Why it can answer nothing any more, so that its isolate is to be replaced; undefined or absent while it can. */
  broken?(): string | undefined
}

export interface TaskDefinition {
  readonly task: Task
  /** @throws {ServingError} 400 where the model's files do not make up this task. */
  load(context: TaskContext): Promise<LoadedTask>
}
