/** An engine that stops while it writes: its isolate is replaced, and no request after it hears of that. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyGraph, GraphBuilder } from '#src/compiler/onnx/graph-builder.ts'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const vocabulary = 32
/** Tokens from here on make the graph run for ever; all letters come before it. */
const endless = 28

describe('an engine that stops in the middle of a text', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({ runMs: 1_000 })
    const example = { input_example: { prompt: 'a', temperature: 0, max_tokens: 2 } }
    expect((await importFiles(server, files(), 'stopping', example)).json).toMatchObject({ name: 'stopping' })
    await createEndpoint(server, 'stopping', 'stopping')
  })
  afterAll(() => server?.stop())

  const complete = (prompt: string) =>
    server.send('POST', '/serving-endpoints/stopping/invocations', { prompt, temperature: 0, max_tokens: 3 })

  it('fails its own request, and the next ones are answered by a new isolate', async () => {
    expect((await complete('h')).json).toMatchObject({ choices: [{ text: 'hhh' }] })
    for (let round = 0; round < 2; round++) {
      const stopped = await complete(String.fromCharCode(97 + endless))
      expect(stopped.status).toBeGreaterThanOrEqual(400)
      const replies = await Promise.all(['h', 'i', 'j'].map(complete))
      expect(replies.map(({ status, json }) => [status, json.choices?.[0].text])).toEqual([
        [200, 'hhh'],
        [200, 'iii'],
        [200, 'jjj'],
      ])
    }
    const { json } = await server.send('GET', '/api/2.0/serving-endpoints/stopping/served-models/stopping-1/logs')
    expect(json.logs.match(/doused: replaced: /g)).toHaveLength(2)
  })
})

/** A decoder that writes its last token again, with a tokenizer of letters. */
function files(): { path: string; bytes: Uint8Array }[] {
  const words = Array.from({ length: vocabulary }, (_, id) => String.fromCharCode(97 + id))
  const tokenizer = {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries(words.map((word, id) => [word, id])), merges: [] },
  }
  const json = (path: string, value: unknown) => ({ path, bytes: new TextEncoder().encode(JSON.stringify(value)) })
  return [
    { path: 'onnx/model.onnx', bytes: stoppingDecoder() },
    json('tokenizer.json', tokenizer),
    json('config.json', { model_type: 'llama', architectures: ['LlamaForCausalLM'], vocab_size: vocabulary }),
  ]
}

function stoppingDecoder(): Uint8Array {
  const body = new GraphBuilder(emptyGraph('body'))
  body.input('step', 'int64', [])
  body.input('goes_on', 'bool', [])
  body.input('before', 'float32', [])
  body.add('Identity', ['goes_on'], { outputs: ['still'] })
  body.add('Add', ['before', body.floats(0)], { outputs: ['after'] })
  body.output('still', 'bool', [])
  body.output('after', 'float32', [])

  const graph = new GraphBuilder()
  const ids = graph.input('input_ids', 'int64', ['rows', 'tokens'])
  const largest = graph.add('ReduceMax', [ids], { attributes: { keepdims: 0 } })
  const trips = graph.add('Mul', [graph.add('Div', [largest, graph.ints(endless)]), graph.ints(2 ** 40)])
  const always = graph.constant('always', { dtype: 'bool', shape: [], values: Uint8Array.of(1) })
  const nothing = graph.add('Loop', [trips, always, graph.floats(0)], { attributes: { body: body.graph } })
  const hot = graph.add('OneHot', [ids, graph.ints(vocabulary), graph.floats([0, 1_000])])
  graph.add('Add', [hot, nothing], { outputs: ['logits'] })
  graph.output('logits', 'float32', ['rows', 'tokens', vocabulary])
  const read = graph.add('Unsqueeze', [graph.add('Cast', [ids], { attributes: { to: 1 } }), graph.ints([1, 3])])
  for (const part of ['key', 'value']) {
    const past = graph.input(`past_key_values.0.${part}`, 'float32', ['rows', 1, 'past', 1])
    graph.add('Concat', [past, read], { outputs: [`present.0.${part}`], attributes: { axis: 2 } })
    graph.output(`present.0.${part}`, 'float32', ['rows', 1, 'total', 1])
  }
  return graph.bytes()
}
