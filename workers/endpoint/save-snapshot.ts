/** What a builder isolate does: loads the graph and sends its heap to the host, before any request and without any task. */
import createOrtModule from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { internal } from '#contracts/errors.ts'
import { bootOrt } from '#src/engine/ort/boot.ts'
import { takeSnapshot } from '#src/engine/ort/snapshot.ts'
import { create, type EndpointEnv, snapshotIdentity } from './load-served.ts'
import ortWasm from './ort.wasm'
import { weightsReader } from './weights-reader.ts'

/** Resolves once the snapshot is stored. @throws {ServingError} where this mount may not write one, or what loading threw. */
export async function saveSnapshot({ SPEC, WEIGHTS, SINK }: EndpointEnv): Promise<void> {
  if (!SINK) throw internal('This isolate serves; it may not write a snapshot.')
  const started = await bootOrt(createOrtModule, ortWasm, { init: false })
  const session = await create(SPEC, weightsReader(WEIGHTS))
  const snapshot = takeSnapshot(session, { identity: snapshotIdentity(SPEC), started })
  const { readable, writable } = new FixedLengthStream(snapshot.sizeBytes)
  const write = async () => {
    const writer = writable.getWriter()
    for (const chunk of snapshot.chunks()) await writer.write(chunk)
    await writer.close()
  }
  const stored = SINK.fetch('http://snapshots/', {
    method: 'PUT',
    body: readable,
    headers: { 'x-size-bytes': String(snapshot.sizeBytes) },
  })
  const [response] = await Promise.all([stored, write()])
  if (!response.ok) throw internal(`The snapshot was not stored: ${await response.text()}`)
}
