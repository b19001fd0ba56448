import { expect, it } from 'vitest'
import { type EndpointSpec, specHeader, specNameHeader, specUnknownStatus } from '#contracts/bundle.ts'
import { encodeFrame } from '#contracts/frame.ts'
import { tensorOf } from '#contracts/tensor.ts'
import { hostClient } from '#src/gateway/host-client.ts'

const spec: EndpointSpec = {
  manifest: `sha256:${'0'.repeat(64)}`,
  task: 'tensor',
  graph: 'model.onnx',
  options: {},
  owner: 'endpoint/entity',
  idleMs: null,
}
const request = { inputs: { x: tensorOf('float32', [2], Float32Array.of(1, 2)) }, params: {} }

/** Answers as the protocol says, and remembers specs until it is told to forget. */
function host() {
  const known = new Map<string, string>()
  const calls: { hasSpec: boolean; status: number; sizeBytes: number }[] = []
  const fetch = async (_url: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers)
    const [name, text] = [headers.get(specNameHeader)!, headers.get(specHeader)]
    if (text !== null) known.set(name, decodeURIComponent(text))
    const isKnown = known.has(name)
    if (isKnown) expect(JSON.parse(known.get(name)!)).toEqual(spec)
    const sizeBytes = (init.body as Uint8Array | undefined)?.byteLength ?? 0
    calls.push({ hasSpec: text !== null, status: isKnown ? 200 : specUnknownStatus, sizeBytes })
    if (!isKnown) return new Response(null, { status: specUnknownStatus })
    return new Response(encodeFrame({}, { usage: {} }) as BufferSource as ArrayBuffer)
  }
  return { fetch, calls, forget: () => known.clear() }
}

it('tells a host the spec once and names it from then on', async () => {
  const { fetch, calls } = host()
  const client = hostClient({ fetch })
  for (let round = 0; round < 3; round++) await client.run(spec, request)
  expect(calls.map(({ hasSpec }) => hasSpec)).toEqual([true, false, false])
})

it('tells a host that has forgotten the spec again, with the whole request', async () => {
  const { fetch, calls, forget } = host()
  const client = hostClient({ fetch })
  await client.run(spec, request)
  forget()
  await client.run(spec, request)
  await client.run(spec, request)
  expect(calls.map(({ hasSpec, status }) => [hasSpec, status])).toEqual([
    [true, 200],
    [false, specUnknownStatus],
    [true, 200],
    [false, 200],
  ])
  expect(new Set(calls.map(({ sizeBytes }) => sizeBytes)).size).toBe(1)
})
