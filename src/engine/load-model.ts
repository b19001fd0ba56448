/** From the artifacts of a version to a served model: the graph, then the task around it. */
import type { MemoryAccount, ServedModel } from '#contracts/served-model.ts'
import type { Ort } from './ort/instance.ts'
import { type LoadGraphOptions, loadGraph } from './ort/load-graph.ts'
import type { TaskContext, TaskDefinition } from './task-definition.ts'

export interface LoadModelOptions extends Omit<TaskContext, 'ort' | 'session'> {
  /** Path of the graph among the artifacts. */
  graph: string
  loading?: LoadGraphOptions
}

/** Resolves to a model that answers. What failed to load has given its memory back. */
export async function loadModel(
  ort: Ort,
  definition: TaskDefinition,
  { graph, loading = {}, ...context }: LoadModelOptions,
): Promise<ServedModel> {
  const session = await loadGraph(ort, context.reader, graph, loading)
  try {
    const task = await definition.load({ ...context, ort, session })
    return {
      signature: task.signature,
      invoke: async (request, signal) => task.invoke(request, signal),
      memory: (): MemoryAccount => ({ heapBytes: ort.heapBytes, weightsBytes: session.modelBytes }),
    }
  } catch (error) {
    session.release()
    throw error
  }
}
