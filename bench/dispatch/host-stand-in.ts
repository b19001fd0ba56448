/**
 * Answers as a host with a trivial tensor model would, without running one, so that only the dispatcher is measured. Runs as
 * its own process: `node host-stand-in.ts PORT`.
 */
import { createServer } from 'node:http'
import { encodeFrame, frameContentType } from '#contracts/frame.ts'
import { tensorOf } from '#contracts/tensor.ts'

const signature = {
  inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 4] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 4] }],
  params: [],
}
const outputs = { y: tensorOf('float32', [1, 4], Float32Array.of(1, 2, 3, 4)) }
const frame = Buffer.from(encodeFrame(outputs, { usage: { promptTokens: 0, runMs: 1, loadMs: 0 } }))
const predictions = Buffer.from(JSON.stringify({ predictions: { y: [[1, 2, 3, 4]] } }))
const json: Readonly<Record<string, unknown>> = {
  '/manifests': { manifest: `sha256:${'0'.repeat(64)}` },
  '/describe': { signature, heapBytes: 2 ** 24, weightsBytes: 4 },
  '/state': { state: 'warm', inFlight: 0 },
}

createServer((incoming, outgoing) => {
  incoming.resume().on('end', () => {
    if (incoming.url === '/run')
      return outgoing.writeHead(200, { 'content-type': frameContentType, 'content-length': frame.length }).end(frame)
    if (incoming.url === '/bare')
      return outgoing
        .writeHead(200, { 'content-type': 'application/json', 'content-length': predictions.length })
        .end(predictions)
    outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(json[incoming.url ?? ''] ?? {}))
  })
}).listen(Number(process.argv[2]), '127.0.0.1')
