/**
 * From a cold isolate to a task that answers: the session comes from its heap snapshot where the host has one, and otherwise from
 * the model's files. What is wrong with a snapshot never fails a load, it only makes it slower, and the log says so.
 */
import createOrtModule from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import type { MountedSpec } from '#contracts/bundle.ts'
import { isServingError, modelFailed } from '#contracts/errors.ts'
import type { ArtifactReader, MemoryAccount } from '#contracts/served-model.ts'
import { isUntried, requireRunning } from '#src/engine/engine-failure.ts'
import { accountOf, heapLimitOf, mib, outOfMemory, requireRoom } from '#src/engine/memory-account.ts'
import { bootOrt } from '#src/engine/ort/boot.ts'
import { CallTooLong } from '#src/engine/ort/call-limit.ts'
import { externalFiles, loadGraph } from '#src/engine/ort/load-graph.ts'
import type { OrtSession } from '#src/engine/ort/session.ts'
import { sessionOptionsOf } from '#src/engine/ort/session-options.ts'
import { restoreSnapshot } from '#src/engine/ort/snapshot.ts'
import type { LoadedTask, TaskDefinition } from '#src/engine/task-definition.ts'
import ortWasm from './ort.wasm'
import { weightsReader } from './weights-reader.ts'

export interface EndpointEnv {
  SPEC: MountedSpec
  WEIGHTS: ServiceBinding
  /** Where a snapshot goes; only in the throw-away isolates that build one. */
  SINK?: ServiceBinding
}

export interface Loaded {
  task: LoadedTask
  loadMs: number
  /** One line for the service log. */
  summary: string
  /** It was loaded without a snapshot, and the next load would be faster with one. */
  snapshotWanted: boolean
  memory(): MemoryAccount
  /** @throws {ServingError} 503 once this isolate can answer nothing any more. */
  requireRunning(): void
  /** Why it cannot; undefined while it can. */
  spent(): string | undefined
  /** What a failed run means where it failed for want of memory or time; any other error as it came. */
  explain(error: unknown): unknown
}

/** Under this a snapshot is 6 MiB of engine on disk that save the few milliseconds in which it initialises. */
const leastWorthBytes = 256 * 1024

/** @throws {ServingError} 400 where the model cannot be loaded or does not fit the isolate; what reading it threw. */
export async function loadServed(
  definition: TaskDefinition,
  wasm: Readonly<Record<string, WebAssembly.Module>>,
  { SPEC, WEIGHTS }: EndpointEnv,
): Promise<Loaded> {
  const startedMs = Date.now()
  const reader = weightsReader(WEIGHTS)
  const restored = await restore(SPEC, WEIGHTS)
  const session = 'session' in restored ? restored.session : await create(SPEC, reader)
  const { ort, modelBytes } = session
  ort.callLimit.limitMs = SPEC.runMs
  const sessionMs = Date.now() - startedMs
  const heapLimitBytes = heapLimitOf(SPEC.isolateBytes)
  const task = await definition.load({ ort, session, reader, options: SPEC.options, heapLimitBytes, wasm })
  const loadMs = Date.now() - startedMs
  const loadedHeapBytes = ort.heapBytes
  const isRestored = 'session' in restored
  const isSmall = modelBytes < leastWorthBytes
  const origin = isRestored ? 'from its snapshot' : isSmall ? 'too small for a snapshot' : restored.problem
  return {
    task,
    loadMs,
    summary:
      `weights ${mib(modelBytes)} MiB, heap ${mib(loadedHeapBytes)} of ${mib(heapLimitBytes)} MiB, ${loadMs} ms ` +
      `(session ${sessionMs}, task ${loadMs - sessionMs}), ${origin}`,
    snapshotWanted: !isRestored && !isSmall,
    memory: () => accountOf(ort.heapBytes, modelBytes, loadedHeapBytes),
    requireRunning: () => requireRunning(ort),
    spent() {
      const why = ort.trapped?.message ?? task.broken?.()
      return why && `replaced: ${why}`
    },
    explain(error) {
      if (isUntried(error)) return error
      if (ort.trapped?.cause instanceof CallTooLong) return modelFailed(`The model failed: ${ort.trapped.message}.`)
      if (ort.refusedBytes === 0) return error
      const problem = `This request needs an engine heap of at least ${mib(ort.refusedBytes)} MiB`
      ort.refusedBytes = 0
      return outOfMemory(problem, SPEC.isolateBytes, SPEC.graph)
    },
  }
}

/** What the session is, for both ends of a snapshot to compare; the host names the snapshot after more than this. */
export function snapshotIdentity({ manifest, graph }: Pick<MountedSpec, 'manifest' | 'graph'>): string {
  return JSON.stringify([manifest, graph, sessionOptionsOf(graph)])
}

/** @throws {ServingError} as `loadServed`. */
export async function create(spec: MountedSpec, reader: ArtifactReader): Promise<OrtSession> {
  const { graph, isolateBytes, runMs } = spec
  const graphBytes = (await reader.sizeOf(graph)) ?? 0
  const external = await externalFiles(reader, graph)
  const sizes = await Promise.all(external.map((path) => reader.sizeOf(path)))
  const externalBytes = sizes.reduce<number>((total, size) => total + (size ?? 0), 0)
  requireRoom({ graph, graphBytes, externalBytes }, isolateBytes)
  const ort = await bootOrt(createOrtModule, ortWasm)
  ort.heapLimitBytes = heapLimitOf(isolateBytes)
  ort.callLimit.limitMs = runMs
  try {
    return await loadGraph(ort, reader, graph, sessionOptionsOf(graph))
  } catch (error) {
    if (ort.refusedBytes === 0) throw error
    throw outOfMemory(`The model needs an engine heap of at least ${mib(ort.refusedBytes)} MiB`, isolateBytes, graph)
  }
}

async function restore(
  spec: MountedSpec,
  weights: ServiceBinding,
): Promise<{ session: OrtSession } | { problem: string }> {
  try {
    const response = await weights.fetch('http://weights/snapshot')
    if (response.status === 404) return { problem: 'there is no snapshot yet' }
    if (response.status !== 200 || !response.body) throw new Error(`the host answered ${response.status}`)
    const session = await restoreSnapshot(createOrtModule, ortWasm, response.body, {
      identity: snapshotIdentity(spec),
      heapLimitBytes: heapLimitOf(spec.isolateBytes),
    })
    return { session }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { problem: `its snapshot was not used: ${isServingError(error) ? 'damaged, ' : ''}${reason}` }
  }
}
