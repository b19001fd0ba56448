/**
 * The program of an endpoint isolate: loads its model on the first request, keeps it in module scope, and answers frames.
 * One isolate serves one task of one model version; it has no network and no binding but its own weights.
 */
import { abortIsolate, DurableObject } from 'cloudflare:workers'
import type { Capabilities } from '#contracts/capabilities.ts'
import { badRequest, isServingError, type ServingError } from '#contracts/errors.ts'
import { eventLines, eventLinesType } from '#contracts/event-lines.ts'
import { decodeFrame, encodeFrame, frameContentType } from '#contracts/frame.ts'
import type { GenerationEvent, GenerationRequest } from '#contracts/generation.ts'
import type { InvocationRequest } from '#contracts/invocation.ts'
import type { TaskDefinition } from '#src/engine/task-definition.ts'
import { type EndpointEnv, type Loaded, loadServed } from './load-served.ts'
import { saveSnapshot } from './save-snapshot.ts'

/** Module scope: the model outlives the object that loaded it, and ends with the isolate. */
let loading: Promise<Loaded> | undefined

/** The Durable Object class of an endpoint that serves one task. */
export function endpointClass(definition: TaskDefinition, wasm: Readonly<Record<string, WebAssembly.Module>> = {}) {
  return class Endpoint extends DurableObject<EndpointEnv> {
    async fetch(request: Request): Promise<Response> {
      const first = loading === undefined
      let loaded: Loaded
      try {
        loading ??= loadServed(definition, wasm, this.env)
        loaded = await loading
      } catch (error) {
        loading = undefined
        const headers = { 'x-glim-load-failed': encodeURIComponent(messageOf(error)) }
        return errorResponse(error, headers)
      }
      const headers: Record<string, string> = { ...memoryHeaders(loaded), ...(first ? loadHeaders(loaded) : {}) }
      try {
        loaded.requireRunning()
        switch (new URL(request.url).pathname) {
          case '/describe':
            return describe(loaded, headers)
          case '/measure':
            return Response.json({ capabilities: measured(loaded) }, { headers })
          case '/generate':
            return await generate(loaded, request, first, headers)
          default:
            return await run(loaded, request, first, headers)
        }
      } catch (error) {
        const spent = loaded.spent()
        if (spent !== undefined) headers['x-glim-spent'] = encodeURIComponent(spent)
        return errorResponse(loaded.explain(error), headers)
      }
    }

    /** Loads the graph and stores its heap. @throws {ServingError} in any mount but a builder's. */
    async saveSnapshot(): Promise<void> {
      await saveSnapshot(this.env)
    }

    /** Ends this isolate, so that its memory comes back. */
    douse(): void {
      abortIsolate('doused')
    }
  }
}

function describe(loaded: Loaded, headers: HeadersInit): Response {
  return Response.json({ signature: loaded.task.signature, ...loaded.memory() }, { headers })
}

/** A task that measures nothing answers one row after another, whatever runs beside it. */
function measured({ task, memory }: Loaded): Capabilities {
  const { heapBytes } = memory()
  return (
    task.measure?.() ?? {
      maxTokens: null,
      maxBatch: 1,
      batchInvariant: false,
      devices: ['wasm'],
      memoryBytes: heapBytes,
    }
  )
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
  const reply = await loaded.task.invoke({ inputs: tensors, params, ...(outputs ? { outputs } : {}) }, request.signal)
  const usage = { ...reply.usage, runMs: Date.now() - startedMs, loadMs: first ? loaded.loadMs : 0 }
  if (first) headers['x-glim-first-run-ms'] = String(usage.runMs)
  const body = encodeFrame(reply.outputs, { rows: reply.rows, usage })
  return new Response(body as BufferSource as ArrayBuffer, {
    headers: { ...headers, 'content-type': frameContentType },
  })
}

async function generate(
  { task, loadMs }: Loaded,
  request: Request,
  first: boolean,
  headers: Record<string, string>,
): Promise<Response> {
  if (!task.generate) throw badRequest('The model writes no text.')
  const events = await task.generate((await request.json()) as GenerationRequest, request.signal)
  return new Response(eventLines(first ? withLoadTime(events, loadMs) : events), {
    headers: { ...headers, 'content-type': eventLinesType },
  })
}

/** The engine does not know that this request waited for the model. */
async function* withLoadTime(events: AsyncIterable<GenerationEvent>, loadMs: number): AsyncGenerator<GenerationEvent> {
  for await (const event of events) {
    yield event.type === 'usage-final' ? { ...event, usage: { ...event.usage, loadMs } } : event
  }
}

function errorResponse(error: unknown, headers: HeadersInit): Response {
  const facts: ServingError = isServingError(error) ? error : badRequest(`The model failed: ${messageOf(error)}`)
  return Response.json(facts, { status: facts.status, headers })
}

/** What each reply tells the host of the isolate's memory. */
function memoryHeaders({ memory }: Loaded): Record<string, string> {
  const { heapBytes, weightsBytes } = memory()
  return { 'x-glim-heap-bytes': String(heapBytes), 'x-glim-weights-bytes': String(weightsBytes) }
}

/** What the first reply tells the host of the load. */
function loadHeaders({ summary, snapshotWanted }: Loaded): Record<string, string> {
  return { 'x-glim-loaded': encodeURIComponent(summary), ...(snapshotWanted ? { 'x-glim-snapshot-wanted': '1' } : {}) }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
