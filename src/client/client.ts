/** The server's API as functions; what they throw is told in `http.ts`. */
import type { Digest, Manifest } from '#contracts/manifest.ts'
import { type ChatPart, type ChatRequest, streamChat } from './chat.ts'
import { requestJson, requestText, type ServerAddress } from './http.ts'
import { putBytes } from './put-bytes.ts'
import type { ConfigRequest, EndpointView, ModelDetail, ModelView, TokenInfo, VersionView } from './views.ts'

export interface ImportRequest {
  name: string
  version?: string
  manifest: Manifest
  file: string
  task?: string
  input_example?: unknown
  source?: string
  comment?: string
  /** Options of the task. */
  options?: Readonly<Record<string, unknown>>
  /** Bring the bytes of artifacts that have only an origin now, and run the model, rather than on first use. */
  prefetch?: boolean
}

export interface TokenRequest {
  comment?: string
  lifetime_seconds?: number
  user_name?: string
  groups?: readonly string[]
}

export interface InvocationBody {
  body: string | Uint8Array
  contentType: 'application/json' | 'text/csv'
}

export type GlimClient = ReturnType<typeof glimClient>

const endpoints = '/api/2.0/serving-endpoints'
const models = '/api/2.0/glim/models'
const blobs = '/api/2.0/glim/blobs'
const starters = '/api/2.0/glim/starters'

export function glimClient(address: ServerAddress) {
  const json = <T>(method: string, path: string, value?: unknown) => requestJson<T>(address, method, path, value)
  const named = encodeURIComponent
  return {
    url: address.url,

    health: () => json<{ status: string; endpoints: number }>('GET', '/health'),

    missingBlobs: async (digests: readonly Digest[]) =>
      (await json<{ missing: readonly Digest[] }>('POST', `${blobs}/missing`, { digests })).missing,
    putBlob: (digest: Digest, bytes: Uint8Array) => putBytes(address, `${blobs}/${named(digest)}`, bytes),

    importModel: (request: ImportRequest) => json<VersionView>('POST', `${models}/import`, request),
    listModels: async () => (await json<{ models: readonly ModelView[] }>('GET', models)).models,
    getModel: (name: string) => json<ModelDetail>('GET', `${models}/${named(name)}`),
    getVersion: (name: string, version: string) =>
      json<VersionView>('GET', `${models}/${named(name)}/versions/${named(version)}`),
    collectGarbage: () => json<{ deleted: number; freed_bytes: number; held_bytes: number }>('POST', `${models}/gc`),
    deleteModel: (name: string) => json<object>('DELETE', `${models}/${named(name)}`),
    deleteVersion: (name: string, version: string) =>
      json<object>('DELETE', `${models}/${named(name)}/versions/${named(version)}`),

    createEndpoint: (name: string, config: ConfigRequest) => json<EndpointView>('POST', endpoints, { name, config }),
    /** The list has no traffic; `getEndpoint` has. */
    listEndpoints: async () => (await json<{ endpoints?: readonly EndpointView[] }>('GET', endpoints)).endpoints ?? [],
    getEndpoint: (name: string) => json<EndpointView>('GET', `${endpoints}/${named(name)}`),
    updateConfig: (name: string, config: ConfigRequest) =>
      json<EndpointView>('PUT', `${endpoints}/${named(name)}/config`, config),
    deleteEndpoint: (name: string) => json<object>('DELETE', `${endpoints}/${named(name)}`),
    buildLogs: async (name: string, entity: string) =>
      (await json<{ logs: string }>('GET', `${endpoints}/${named(name)}/served-models/${named(entity)}/build-logs`))
        .logs,

    /** Resolves to the reply's own text: parsing it here would round what JSON numbers of other languages can hold. */
    invoke: (endpoint: string, { body, contentType }: InvocationBody) =>
      requestText(address, 'POST', `/serving-endpoints/${named(endpoint)}/invocations`, { body, contentType }),

    /** A conversation's next turn, as the model writes it. */
    chat: (request: ChatRequest, signal?: AbortSignal): AsyncGenerator<ChatPart> =>
      streamChat(address, request, signal),

    createToken: (request: TokenRequest) =>
      json<{ token_value: string; token_info: TokenInfo }>('POST', '/api/2.0/token/create', request),
    listTokens: async () =>
      (await json<{ token_infos: readonly TokenInfo[] }>('GET', '/api/2.0/token/list')).token_infos,
    revokeToken: (tokenId: string) => json<object>('POST', '/api/2.0/token/delete', { token_id: tokenId }),

    /** Null before the first start has ended. */
    starters: async () => (await json<{ names: readonly string[] | null }>('GET', starters)).names,
    setStarters: (names: readonly string[]) => json<object>('PUT', starters, { names }),
  }
}
