/** What a task is: it reads the small files of a model once, and then turns requests into runs of the graph. */
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
  /** Precompiled modules that a task needs beside ORT, by name (`jpeg`). */
  wasm?: Readonly<Record<string, WebAssembly.Module>>
}

export interface LoadedTask {
  readonly signature: Signature
  /** @throws {ServingError} 400 where the task or the graph refuses this input. */
  invoke(request: InvocationRequest): Promise<InvocationReply> | InvocationReply
}

export interface TaskDefinition {
  readonly task: Task
  /** @throws {ServingError} 400 where the model's files do not make up this task. */
  load(context: TaskContext): Promise<LoadedTask>
}
