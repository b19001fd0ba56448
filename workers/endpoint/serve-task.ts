/**
 * The program of an endpoint isolate: loads its model on the first request, keeps it in module scope, and answers frames.
 * One isolate serves one task of one model version; it has no network and no binding but its own weights.
 */
import { abortIsolate, DurableObject } from 'cloudflare:workers'
import createOrtModule from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import type { EndpointSpec } from '#contracts/bundle.ts'
import { badRequest, isServingError, type ServingError } from '#contracts/errors.ts'
import { decodeFrame, encodeFrame, frameContentType } from '#contracts/frame.ts'
import type { InvocationRequest } from '#contracts/invocation.ts'
import { bootOrt } from '#src/engine/ort/boot.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import type { LoadedTask, TaskDefinition } from '#src/engine/task-definition.ts'
import ortWasm from './ort.wasm'
import { weightsReader } from './weights-reader.ts'

interface EndpointEnv {
  SPEC: EndpointSpec
  WEIGHTS: ServiceBinding
}

interface Loaded {
  task: LoadedTask
  heapBytes(): number
  weightsBytes: number
  loadMs: number
}

/** Module scope: the model outlives the object that loaded it, and ends with the isolate. */
let loading: Promise<Loaded> | undefined

/** The Durable Object class of an endpoint that serves one task. */
export function endpointClass(definition: TaskDefinition, wasm: Readonly<Record<string, WebAssembly.Module>> = {}) {
  return class Endpoint extends DurableObject<EndpointEnv> {
    async fetch(request: Request): Promise<Response> {
      const first = loading === undefined
      let loaded: Loaded
      try {
        loading ??= load(definition, wasm, this.env)
        loaded = await loading
      } catch (error) {
        loading = undefined
        const headers = { 'x-glim-load-failed': encodeURIComponent(messageOf(error)) }
        return errorResponse(error, headers)
      }
      const headers: Record<string, string> = first ? { 'x-glim-loaded': summaryOf(loaded) } : {}
      try {
        if (new URL(request.url).pathname === '/describe') return describe(loaded, headers)
        return await run(loaded, request, first, headers)
      } catch (error) {
        return errorResponse(error, headers)
      }
    }

    /** Ends this isolate, so that its memory comes back. */
    douse(): void {
      abortIsolate('doused')
    }
  }
}

async function load(
  definition: TaskDefinition,
  wasm: Readonly<Record<string, WebAssembly.Module>>,
  env: EndpointEnv,
): Promise<Loaded> {
  const startedMs = Date.now()
  const reader = weightsReader(env.WEIGHTS)
  const weightsBytes = (await reader.sizeOf(env.SPEC.graph)) ?? 0
  const ort = await bootOrt(createOrtModule, ortWasm)
  const session = await loadGraph(ort, reader, env.SPEC.graph)
  const task = await definition.load({ ort, session, reader, options: env.SPEC.options, wasm })
  return { task, heapBytes: () => ort.memory.buffer.byteLength, weightsBytes, loadMs: Date.now() - startedMs }
}

function describe(loaded: Loaded, headers: HeadersInit): Response {
  const { task, weightsBytes } = loaded
  return Response.json({ signature: task.signature, heapBytes: loaded.heapBytes(), weightsBytes }, { headers })
}

async function run(
  loaded: Loaded,
  request: Request,
  first: boolean,
  headers: Record<string, string>,
): Promise<Response> {
  const { tensors, rest } = decodeFrame(await request.bytes())
  const { params, outputs } = rest as Pick<InvocationRequest, 'params' | 'outputs'>
  const startedMs = Date.now()
  const reply = await loaded.task.invoke({ inputs: tensors, params, ...(outputs ? { outputs } : {}) })
  const usage = { ...reply.usage, runMs: Date.now() - startedMs, loadMs: first ? loaded.loadMs : 0 }
  const body = encodeFrame(reply.outputs, { rows: reply.rows, usage })
  return new Response(body as BufferSource as ArrayBuffer, {
    headers: { ...headers, 'content-type': frameContentType },
  })
}

function errorResponse(error: unknown, headers: HeadersInit): Response {
  const facts: ServingError = isServingError(error) ? error : badRequest(`The model failed: ${messageOf(error)}`)
  return Response.json(facts, { status: facts.status, headers })
}

function summaryOf({ loadMs, weightsBytes, heapBytes }: Loaded): string {
  return `weights ${mib(weightsBytes)} MiB, heap ${mib(heapBytes())} MiB, ${loadMs} ms`
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
