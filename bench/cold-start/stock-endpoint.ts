/**
 * The other side of the benchmark: onnxruntime-web and Hugging Face's tokenizers as they are published, in the same kind of isolate
 * behind the same host. Workers may
 * not compile wasm, so instantiation from bytes is answered with the module that all isolates share; nothing else is changed.
 */
import { abortIsolate, DurableObject } from 'cloudflare:workers'
import { Tokenizer } from '@huggingface/tokenizers'
import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm'
import { decodeFrame, encodeFrame, frameContentType } from '#contracts/frame.ts'
import { type StringTensor, tensorOf } from '#contracts/tensor.ts'
import { readJson, requireJson } from '#src/engine/read-artifact.ts'
import ortWasm from '../../workers/endpoint/ort.wasm'
import { weightsReader } from '../../workers/endpoint/weights-reader.ts'

interface Env {
  SPEC: { graph: string }
  WEIGHTS: ServiceBinding
}

interface Loaded {
  session: InferenceSession
  tokenizer: Tokenizer
  sessionMs: number
}

const instantiate = WebAssembly.instantiate as (
  source: unknown,
  imports?: WebAssembly.Imports,
) => Promise<WebAssembly.Instance>
WebAssembly.instantiate = (async (source: unknown, imports?: WebAssembly.Imports) => {
  if (source instanceof WebAssembly.Module) return instantiate(source, imports)
  return { instance: await instantiate(ortWasm, imports), module: ortWasm }
}) as typeof WebAssembly.instantiate
env.wasm.numThreads = 1
// Any buffer selects the factory that is part of the bundle.
env.wasm.wasmBinary = new ArrayBuffer(8)

let loading: Promise<Loaded> | undefined

export class Endpoint extends DurableObject<Env> {
  async fetch(request: Request): Promise<Response> {
    const first = loading === undefined
    loading ??= load(this.env)
    const { session, tokenizer, sessionMs } = await loading
    const headers: Record<string, string> = first ? { 'x-glim-loaded': `session ${sessionMs} ms` } : {}
    if (new URL(request.url).pathname === '/describe') {
      const ports = [{ name: 'text', dtype: 'string', shape: ['rows'] }]
      const signature = { inputs: ports, outputs: [{ name: 'embedding', dtype: 'float32', shape: ['rows', 384] }], params: [] } // biome-ignore format: one line reads better
      return Response.json({ signature, heapBytes: 0, weightsBytes: 0 }, { headers })
    }
    if (new URL(request.url).pathname === '/measure') return Response.json({ capabilities: null }, { headers })
    const { tensors } = decodeFrame(await request.bytes())
    const vector = await embed(session, tokenizer, (tensors.text as StringTensor).strings[0]!)
    const usage = { promptTokens: 0, runMs: 0, loadMs: 0 }
    const body = encodeFrame({ embedding: tensorOf('float32', [1, vector.length], vector) }, { usage })
    return new Response(body as BufferSource as ArrayBuffer, {
      headers: { ...headers, 'content-type': frameContentType },
    })
  }

  douse(): void {
    abortIsolate('doused')
  }
}

async function load({ SPEC, WEIGHTS }: Env): Promise<Loaded> {
  const startedMs = Date.now()
  const reader = weightsReader(WEIGHTS)
  const bytes = await new Response(await reader.stream(SPEC.graph)).bytes()
  const session = await InferenceSession.create(bytes)
  const sessionMs = Date.now() - startedMs
  const definition = await requireJson(reader, 'tokenizer.json')
  const config = (await readJson(reader, 'tokenizer_config.json')) ?? {}
  return { session, tokenizer: new Tokenizer(definition, config), sessionMs }
}

/** Mean of the token vectors, of unit length. */
async function embed(
  session: InferenceSession,
  tokenizer: Tokenizer,
  text: string,
): Promise<Float32Array<ArrayBuffer>> {
  const { ids } = tokenizer.encode(text)
  const tensor = (values: bigint[]) => new Tensor('int64', BigInt64Array.from(values), [1, ids.length])
  const { last_hidden_state: hidden } = await session.run({
    input_ids: tensor(ids.map(BigInt)),
    attention_mask: tensor(ids.map(() => 1n)),
    token_type_ids: tensor(ids.map(() => 0n)),
  })
  const values = hidden!.data as Float32Array
  const size = values.length / ids.length
  const mean = new Float32Array(size)
  for (const [at, value] of values.entries()) mean[at % size]! += value / ids.length
  const length = Math.hypot(...mean)
  return mean.map((value) => value / length)
}

export default {}
