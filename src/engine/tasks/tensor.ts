/** The graph itself: named tensors in, named tensors out, nothing in between. */
import { invalidParameter } from '#contracts/errors.ts'
import type { Field } from '#contracts/signature.ts'
import type { NamedTensors } from '#contracts/tensor.ts'
import type { Port } from '../ort/ports.ts'
import { runGraph } from '../run-graph.ts'
import type { TaskDefinition } from '../task-definition.ts'

export const tensorTask: TaskDefinition = {
  task: 'tensor',
  async load({ session }) {
    const inputs = session.inputs.map(toField)
    return {
      signature: { inputs, outputs: session.outputs.map(toField), params: [] },
      invoke(request) {
        for (const field of inputs) requireFit(field, request.inputs)
        const startedMs = performance.now()
        const outputs = runGraph(session, request.inputs, request.outputs)
        return { outputs, usage: { promptTokens: 0, runMs: performance.now() - startedMs, loadMs: 0 } }
      },
    }
  },
}

function toField({ name, dtype, shape }: Port): Field {
  return { name, dtype, shape: [...shape] }
}

/** ORT counts a wrong dtype among its internal errors; the request's field is named here instead. */
function requireFit({ name, dtype }: Field, inputs: NamedTensors): void {
  const tensor = Object.hasOwn(inputs, name) ? inputs[name] : undefined
  if (!tensor) throw invalidParameter(name, 'the graph needs this input')
  if (tensor.dtype !== dtype) throw invalidParameter(name, `the graph takes ${dtype}, ${tensor.dtype} came`)
}
