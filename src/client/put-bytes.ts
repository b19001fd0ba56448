/**
 * Sending bytes without a copy of them. `fetch` copies every body before it sends it, and a thousand copies of a shard later the
 * process is 50 MB larger than what it holds; `node:http` writes from the caller's own buffer.
 */
import { type ClientRequest, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { refusalFrom, type ServerAddress, ServerUnreachable } from './http.ts'

/** Resolves once the server has taken the bytes; they are the caller's again then. Throws as `requestText` does. */
export async function putBytes(address: ServerAddress, path: string, bytes: Uint8Array): Promise<void> {
  const { status, text } = await put(address, path, bytes).catch((error: unknown) => {
    // The server closed an idle connection just as it was used again. Bytes by digest may be sent twice.
    if (error instanceof StaleConnection) return put(address, path, bytes)
    throw error
  })
  if (status < 200 || status > 299) throw refusalFrom(status, text, address)
}

class StaleConnection extends ServerUnreachable {}

function put(
  { url, token }: ServerAddress,
  path: string,
  bytes: Uint8Array,
): Promise<{ status: number; text: string }> {
  const target = new URL(`${url}${path}`)
  const options: RequestOptions = {
    method: 'PUT',
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      'content-type': 'application/octet-stream',
      'content-length': bytes.byteLength,
    },
  }
  return new Promise((resolve, reject) => {
    const send = target.protocol === 'https:' ? requestHttps : requestHttp
    const request: ClientRequest = send(target, options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', fail)
    })
    const fail = (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? error.message
      const isStale = request.reusedSocket && (reason === 'ECONNRESET' || reason === 'EPIPE')
      reject(new (isStale ? StaleConnection : ServerUnreachable)(url, reason))
    }
    request.on('error', fail)
    request.end(bytes)
  })
}
