import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { groupAttention } from '#src/compiler/convert/attention.ts'
import { convertModel } from '#src/compiler/convert/convert-model.ts'
import { exampleTexts } from '#src/compiler/convert/examples.ts'
import { grouped } from '#src/compiler/convert/grouped-attention.ts'
import { type Engine, type OrtRuntime, openEngine } from '#src/compiler/convert/save-ort.ts'
import { GraphBuilder, graphBuilder } from '#src/compiler/onnx/graph-builder.ts'
import type { OnnxModel } from '#src/compiler/onnx/model.ts'
import { readModel } from '#src/compiler/onnx/read-model.ts'
import { joined } from '#src/compiler/onnx/wire.ts'
import { readDecoderPorts } from '#src/engine/generation/decoder-ports.ts'
import { openDecoder } from '#src/engine/generation/open-decoder.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { loadTokenizer } from '#src/engine/tokenizer.ts'
import { expectEqual } from '../support/expect-equal.ts'
import { ortWasm } from '../support/node-ort.ts'
import {
  haveSharedModels,
  memoryReader,
  sharedBytes,
  sharedJson,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

let runtime: OrtRuntime
let engine: Engine
beforeAll(async () => {
  runtime = { factory, wasm: await ortWasm() }
  engine = await openEngine(runtime)
})

const stories = 'stories260k'
const bounds = { positions: 256, cacheBytes: 32 * 2 ** 20, rows: 4 }

interface Story {
  prompt_ids: number[]
  generated_ids: number[]
}

const plain = () => readModel(sharedBytes(stories, 'onnx/model.onnx'))

async function examples() {
  const tokenizer = await loadTokenizer(sharedReader(stories))
  return { encodings: exampleTexts.map((text) => tokenizer.encode(text, undefined, 48)), vocabulary: 512 }
}

async function decoderOf(bytes: Uint8Array, path: string) {
  const session = await loadGraph(engine.ort, memoryReader({ [path]: bytes }), path)
  return openDecoder(readDecoderPorts(session), bounds)
}

const best = (logits: Float32Array) => logits.indexOf(logits.reduce((most, logit) => Math.max(most, logit)))

/** The graph with a mask that also hides what is more than three tokens back. */
function windowed(model: OnnxModel): OnnxModel {
  const graph = new GraphBuilder({ ...model.graph, initializers: [...model.graph.initializers] })
  const nodes = model.graph.nodes
  const at = nodes.findIndex(({ outputs }) => outputs[0] === 'vis2')
  graph.graph.nodes = [...nodes.slice(0, at), { ...nodes[at]!, outputs: ['vis.all'] }]
  const near = graph.add('Greater', ['kpos', graph.add('Sub', ['qp', graph.ints(4)])])
  graph.add('And', ['vis.all', near], { outputs: ['vis2'] })
  graph.graph.nodes.push(...nodes.slice(at + 1))
  return { ...model, graph: graph.graph }
}

describe.skipIf(!haveSharedModels)(
  `a decoder with plain attention ${haveSharedModels ? '' : withoutSharedModels}`,
  () => {
    it('decodes by row as it came', async () => {
      const decoder = await decoderOf(sharedBytes(stories, 'onnx/model.onnx'), 'a.onnx')
      expect(decoder.kind).toBe('by row')
    })

    it.each(['none', 'int8'] as const)('decodes in place with grouped attention (quantised: %s)', async (quantize) => {
      const { file, note } = await convertModel(sharedBytes(stories, 'onnx/model.onnx'), {
        runtime,
        quantize,
        optimize: true,
        groupAttention: true,
        examples: await examples(),
      })
      expect(note).toMatch(/^attention grouped in 5 layers; .*optimised, with the same bits/)
      const decoder = await decoderOf(joined(file!), 'a.ort')
      expect(decoder.kind).toBe('in place, rows together')
    })

    it('tells the same stories with grouped attention', async () => {
      const changed = await convertModel(sharedBytes(stories, 'onnx/model.onnx'), {
        runtime,
        quantize: 'none',
        optimize: false,
        groupAttention: true,
        examples: await examples(),
      })
      const decoder = await decoderOf(joined(changed.file!), 'a.onnx')
      const { cases } = sharedJson(stories, 'expected.json') as { cases: (Story & { model: string })[] }
      const told = cases.filter(({ model }) => model === 'onnx/model.onnx')
      expect(told).toHaveLength(2)
      for (const { prompt_ids, generated_ids } of told) {
        const row = decoder.open()
        const ids = [best(decoder.read(row, prompt_ids))]
        while (ids.length < generated_ids.length) ids.push(best(decoder.step([row], [ids.at(-1)!])[0]!))
        expect(ids).toEqual(generated_ids)
        decoder.reset()
      }
    })

    it('that sees only the last tokens keeps its attention, because the answers would change', async () => {
      const model = windowed(plain())
      expect(groupAttention(model)).toMatchObject({ layers: 5 })
      expect(grouped(model, engine, await examples())).toMatch(/would have a cosine of .* to the original's/)
    })

    it('stays as it is when it is rewritten', () => {
      const model = plain()
      groupAttention(model)
      expectEqual(model, plain())
    })
  },
)

describe('a graph', () => {
  it('without a mask, or without a cache, has no attention to group', () => {
    const graph = graphBuilder()
    const x = graph.input('x', 'float32', [1, 4])
    graph.add('Softmax', [x], { outputs: ['y'], attributes: { axis: -1 } })
    graph.output('y', 'float32', [1, 4])
    expect(groupAttention(graph.model())).toBe('the graph has no input attention_mask of int64')
    graph.input('attention_mask', 'int64', [1, 4])
    expect(groupAttention(graph.model())).toBe('the graph has no attention over a cache of its own')
  })
})
