/** The host over a service binding or HTTP: frames for invocations, JSON for the rest, the spec in headers. */
import { sha256 } from '@noble/hashes/sha2.js'
import { type EndpointSpec, specHeader, specNameHeader, specNameLength, specUnknownStatus } from '#contracts/bundle.ts'
import { hexOf } from '#contracts/bytes.ts'
import type { Capabilities } from '#contracts/capabilities.ts'
import { internal, ServingError, type ServingErrorFacts } from '#contracts/errors.ts'
import { readEventLines } from '#contracts/event-lines.ts'
import { decodeFrame, encodeFrame } from '#contracts/frame.ts'
import type { Host } from '#contracts/host.ts'
import type { InvocationReply } from '#contracts/invocation.ts'

export interface Fetcher {
  fetch(url: string, init?: RequestInit): Promise<Response>
}

/** Made once for each spec: specs are frozen and shared, and headers from an object of texts cost as much as the rest of a call. */
interface SpecHeaders {
  /** With the spec itself. */
  full: Headers
  named: Headers
}

const specHeaders = new WeakMap<EndpointSpec, SpecHeaders>()

export function hostClient(fetcher: Fetcher): Host {
  /** Specs that the host has been told, so that their names do. */
  const told = new WeakSet<EndpointSpec>()

  /** A call about a spec. @throws what the fetcher throws. */
  const call = async (spec: EndpointSpec, path: string, init: RequestInit): Promise<Response> => {
    const headers = headersOf(spec)
    const url = `http://host${path}`
    if (told.has(spec)) {
      const response = await fetcher.fetch(url, { ...init, headers: headers.named })
      if (response.status !== specUnknownStatus) return response
    }
    const response = await fetcher.fetch(url, { ...init, headers: headers.full })
    told.add(spec)
    return response
  }
  const asked = async (spec: EndpointSpec, path: string): Promise<Response> =>
    accepted(await call(spec, path, { method: 'POST' }))
  const sent = async (path: string, init: RequestInit): Promise<Response> =>
    accepted(await fetcher.fetch(`http://host${path}`, init))

  return {
    async run(spec, { inputs, params, outputs }, signal) {
      const body = encodeFrame(inputs, { params, outputs }) as BufferSource as ArrayBuffer
      const response = await call(spec, '/run', signal ? { method: 'POST', body, signal } : { method: 'POST', body })
      if (!response.ok) throw await refusalOf(response)
      const { tensors, rest } = decodeFrame(await response.bytes())
      return { outputs: tensors, ...(rest as Omit<InvocationReply, 'outputs'>) }
    },
    async generate(spec, request, signal) {
      const body = JSON.stringify(request)
      const response = await call(spec, '/generate', { method: 'POST', body, ...(signal ? { signal } : {}) })
      const stream = (await accepted(response)).body
      if (!stream) throw internal('The host answered without a stream.')
      return readEventLines(stream)
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

function headersOf(spec: EndpointSpec): SpecHeaders {
  let made = specHeaders.get(spec)
  if (made === undefined) {
    const text = encodeURIComponent(JSON.stringify(spec))
    const name = hexOf(sha256(new TextEncoder().encode(text))).slice(0, specNameLength)
    made = {
      full: new Headers({ [specNameHeader]: name, [specHeader]: text }),
      named: new Headers({ [specNameHeader]: name }),
    }
    specHeaders.set(spec, made)
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
