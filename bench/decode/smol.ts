/** The shape of SmolLM2-135M: what the peer does with the same file, what an isolate would need, and how near memory's limit we are. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { bootNodeOrt } from '../../test/support/node-ort.ts'
import { memoryReader } from '../../test/support/shared-models.ts'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { smolShape, weightsPerToken } from '../support/decoder-model.ts'
import { promptOfWords } from '../support/decoder-requests.ts'
import { readBytesPerSecond } from '../support/heap-bandwidth.ts'
import { inOrtForm } from '../support/served-encoder.ts'
import type { transformersOnWasm } from '../support/transformers-on-wasm.ts'
import { msPerToken, oneByOne, openOurs, openPeer, rateInTurn, rateTogether, requireEqual } from './writers.ts'

const [contextTokens, tokens, streams, rounds] = [32, 13, 8, 2]
const isolateMb = 128

/** @param folder of the model, which is called `smol`. */
export async function smolDecoder(
  folder: string,
  transformers: Awaited<ReturnType<typeof transformersOnWasm>>,
): Promise<BenchmarkResult> {
  const heapMb = (await servedHeapBytes(folder)) / 2 ** 20
  const writing = { shape: smolShape, tokens }
  const ours = await openOurs(folder, writing)
  const peer = await openPeer(transformers, 'smol', writing)
  const prompts = Array.from({ length: streams }, (_, stream) => promptOfWords(contextTokens, 1 + stream, smolShape))
  const right = prompts.map((prompt) => ours.plainly(prompt))
  const [one, eight, peerEight]: [number[], number[], number[]] = [[], [], []]
  for (let round = 0; round <= rounds; round++) {
    const alone = await ours.write(prompts[0]!)
    const together = await Promise.all(prompts.map(ours.write))
    // Its first round warms it up, which takes fewer streams.
    const inTurn = await oneByOne(peer, round === 0 ? prompts.slice(0, 2) : prompts)
    requireEqual([...together, alone], [...right, right[0]!])
    if (round === 0) continue
    one.push(msPerToken(alone))
    eight.push(rateTogether(together))
    peerEight.push(rateInTurn(inTurn))
  }
  const leastMs = (1_000 * weightsPerToken(smolShape)) / (await readBytesPerSecond(weightsPerToken(smolShape)))
  const values = {
    smolStepMs: rounded(median(one), 1),
    smol8TokensPerSecond: rounded(median(eight), 0),
    smolPeerStepMs: rounded(1_000 / median(peerEight), 1),
    smolPeerTokensPerSecond: rounded(median(peerEight), 0),
    smolLeastMsPerToken: rounded(leastMs, 1),
    smolBandwidthShare: rounded(leastMs / median(one)),
    smolHeapMb: rounded(heapMb, 0),
  }
  const verdict = heapMb <= isolateMb ? 'fits' : 'does not fit'
  return {
    rows: [
      { what: 'SmolLM2-135M shape, ms/token, 1 stream', ours: values.smolStepMs, isolate: '–', peer: values.smolPeerStepMs },
      { what: 'the same, tokens/s, 8 streams', ours: values.smol8TokensPerSecond, isolate: '–', peer: values.smolPeerTokensPerSecond },
      { what: 'the same, ms to read all weights once, and its share of a token', ours: `${values.smolLeastMsPerToken} / ${values.smolBandwidthShare}` },
      { what: `the same, MB of heap: ${verdict} into an isolate of ${isolateMb}`, ours: values.smolHeapMb },
    ], // biome-ignore format: a table
    ratios: {
      smolStepVsPeer: rounded(values.smolStepMs / values.smolPeerStepMs),
      smol8VsPeer: rounded(median(eight.map((rate, round) => rate / peerEight[round]!))),
    },
    values,
  }
}

/** Of an engine with nothing but the loaded model, in the form in which an isolate would hold it. */
async function servedHeapBytes(folder: string): Promise<number> {
  const path = 'onnx/model_quantized.onnx'
  const [graph] = await inOrtForm([{ path, bytes: new Uint8Array(readFileSync(join(folder, path))) }])
  const ort = await bootNodeOrt()
  await loadGraph(ort, memoryReader({ [graph!.path]: graph!.bytes }), graph!.path)
  return ort.heapBytes
}
