/**
 * One request through an endpoint, in the only form the inference side knows. Every dialect of the gateway becomes an
 * `InvocationRequest` and is answered from an `InvocationReply`.
 */
import type { NamedTensors } from './tensor.ts'

export interface InvocationRequest {
  /** Columns of a text or image task, or the graph's named inputs. */
  inputs: NamedTensors
  params: Readonly<Record<string, unknown>>
  /** Graph outputs wanted; absent means all. */
  outputs?: readonly string[]
}

export interface InvocationReply {
  /** Named tensors: a graph's outputs, or a task's outputs in tensor form (`embedding`, `score`). */
  outputs: NamedTensors
  /** One JSON value per input row, in the shape of the Hugging Face pipeline of the task; absent for tensor entities and vectors. */
  rows?: readonly unknown[]
  usage: InvocationUsage
}

export interface InvocationUsage {
  /** Tokens the model read; 0 for models without a tokenizer. */
  promptTokens: number
  /** Time inside the engine. */
  runMs: number
  /** Time this request spent loading the model; 0 on a warm replica. */
  loadMs: number
}
