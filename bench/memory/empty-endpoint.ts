/** An isolate like any other that holds no engine and no model: what mounting alone costs. */
import { abortIsolate, DurableObject } from 'cloudflare:workers'
import { encodeFrame, frameContentType } from '#contracts/frame.ts'
import { tensorOf } from '#contracts/tensor.ts'

export class Endpoint extends DurableObject {
  fetch(request: Request): Response {
    const port = { name: 'x', dtype: 'float32', shape: [1] }
    switch (new URL(request.url).pathname) {
      case '/describe':
        return Response.json({
          signature: { inputs: [port], outputs: [port], params: [] },
          heapBytes: 0,
          weightsBytes: 0,
        })
      case '/measure':
        return Response.json({ capabilities: null })
      default: {
        const usage = { promptTokens: 0, runMs: 0, loadMs: 0 }
        const body = encodeFrame({ x: tensorOf('float32', [1], Float32Array.of(1)) }, { usage })
        return new Response(body as BufferSource as ArrayBuffer, { headers: { 'content-type': frameContentType } })
      }
    }
  }

  douse(): void {
    abortIsolate('doused')
  }
}

export default {}
