/** The client's side of a streamed chat, against a server that sends what a test has written down. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type ChatPart, streamChat } from '#src/client/chat.ts'
import { ServerUnreachable } from '#src/client/http.ts'

let server: Server | undefined
afterEach(() => server?.close())

const usage = { prompt_tokens: 5, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } }
const chunk = (fields: object) => `data: ${JSON.stringify(fields)}\n\n`
const delta = (delta: object, finish_reason: string | null = null) => chunk({ choices: [{ delta, finish_reason }] })

/** Asks a server that sends these pieces, each on its own. */
async function chat(...pieces: (string | Uint8Array)[]): Promise<ChatPart[]> {
  server = createServer(async (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const piece of pieces) await new Promise((resolve) => response.write(piece, resolve))
    response.end()
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const address = { url: `http://127.0.0.1:${port}`, token: 'x' }
  return Array.fromAsync(streamChat(address, { model: 'story', messages: [{ role: 'user', content: 'hi' }] }))
}

describe('a streamed chat', () => {
  it('is its texts, however the bytes are cut, and its counts', async () => {
    const bytes = new TextEncoder().encode(
      [
        delta({ role: 'assistant', content: '' }),
        delta({ reasoning_content: 'Hm' }),
        delta({ content: 'Grüße 👋' }),
        delta({}, 'stop'),
        chunk({ choices: [], usage }),
        'data: [DONE]\n\n',
      ].join(''),
    )
    const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, at) => bytes.subarray(at * 7, at * 7 + 7))
    expect(await chat(...pieces)).toEqual([
      { kind: 'reasoning', text: 'Hm' },
      { kind: 'text', text: 'Grüße 👋' },
      { kind: 'end', finishReason: 'stop', promptTokens: 5, cachedTokens: 4, completionTokens: 2 },
    ])
  })

  it('that fails throws what the server said', async () => {
    await expect(chat(delta({ content: 'a' }), chunk({ error: { message: 'Broken.' } }))).rejects.toThrow('Broken.')
  })

  it('that ends before its counts was cut off', async () => {
    await expect(chat(delta({ content: 'a' }))).rejects.toThrow(ServerUnreachable)
  })
})
