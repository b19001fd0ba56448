/** The host over a service binding or HTTP: frames for invocations, JSON for the rest, the spec in a header. */
import type { EndpointSpec } from '#contracts/bundle.ts'
import type { Capabilities } from '#contracts/capabilities.ts'
import { internal, ServingError, type ServingErrorFacts } from '#contracts/errors.ts'
import { readEventLines } from '#contracts/event-lines.ts'
import { decodeFrame, encodeFrame } from '#contracts/frame.ts'
import type { Host } from '#contracts/host.ts'
import type { InvocationReply } from '#contracts/invocation.ts'

export interface Fetcher {
  fetch(url: string, init?: RequestInit): Promise<Response>
}

/** Headers by spec, once each: specs are frozen and shared, and headers from an object of texts cost as much as the rest of a call. */
const headers = new WeakMap<EndpointSpec, Headers>()

export function hostClient(fetcher: Fetcher): Host {
  const asked = async (spec: EndpointSpec, path: string, init: RequestInit = { method: 'POST' }): Promise<Response> =>
    accepted(await fetcher.fetch(`http://host${path}`, { ...init, headers: headersOf(spec) }))
  const sent = async (path: string, init: RequestInit): Promise<Response> =>
    accepted(await fetcher.fetch(`http://host${path}`, init))

  return {
    async run(spec, { inputs, params, outputs }, signal) {
      const body = encodeFrame(inputs, { params, outputs }) as BufferSource as ArrayBuffer
      const response = await fetcher.fetch('http://host/run', {
        method: 'POST',
        headers: headersOf(spec),
        body,
        ...(signal ? { signal } : {}),
      })
      if (!response.ok) throw await refusalOf(response)
      const { tensors, rest } = decodeFrame(await response.bytes())
      return { outputs: tensors, ...(rest as Omit<InvocationReply, 'outputs'>) }
    },
    async generate(spec, request, signal) {
      const response = await fetcher.fetch('http://host/generate', {
        method: 'POST',
        headers: headersOf(spec),
        body: JSON.stringify(request),
        ...(signal ? { signal } : {}),
      })
      const { body } = await accepted(response)
      if (!body) throw internal('The host answered without a stream.')
      return readEventLines(body)
    },
    describe: async (spec) => (await asked(spec, '/describe')).json(),
    measure: async (spec) =>
      ((await (await asked(spec, '/measure')).json()) as { capabilities: Capabilities }).capabilities,
    douse: async (spec) => void (await asked(spec, '/douse')),
    retire: async (spec) => void (await asked(spec, '/retire')),
    state: async (spec) => (await asked(spec, '/state')).json(),
    logs: async (spec) => ((await (await asked(spec, '/logs')).json()) as { logs: string }).logs,
    putBlob: async (digest, bytes) =>
      void (await sent(`/blobs/${digest}`, { method: 'PUT', body: bytes as BufferSource as ArrayBuffer })),
    missingBlobs: async (body) => (await sent('/blobs/missing', { method: 'POST', body: JSON.stringify(body) })).json(),
    putManifest: async (manifest) =>
      (
        (await (await sent('/manifests', { method: 'POST', body: JSON.stringify(manifest) })).json()) as {
          manifest: never
        }
      ).manifest,
    stored: async (manifest) => (await sent(`/stored?manifest=${manifest}`, {})).json(),
    collect: async (manifests) =>
      (await sent('/collect', { method: 'POST', body: JSON.stringify({ manifests }) })).json(),
    async artifact(manifest, path) {
      const response = await fetcher.fetch(
        `http://host/artifacts?manifest=${manifest}&path=${encodeURIComponent(path)}`,
      )
      return response.status === 404 ? null : (await accepted(response)).bytes()
    },
  }
}

function headersOf(spec: EndpointSpec): Headers {
  let made = headers.get(spec)
  if (made === undefined) {
    made = new Headers({ 'x-glim-spec': encodeURIComponent(JSON.stringify(spec)) })
    headers.set(spec, made)
  }
  return made
}

/** @throws {ServingError} the host's refusal, or INTERNAL_ERROR where it did not answer in form. */
async function accepted(response: Response): Promise<Response> {
  if (response.ok) return response
  throw await refusalOf(response)
}

async function refusalOf(response: Response): Promise<ServingError> {
  try {
    return new ServingError((await response.json()) as ServingErrorFacts)
  } catch {
    return internal(`The host answered ${response.status}.`)
  }
}
