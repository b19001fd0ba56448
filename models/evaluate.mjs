/**
 * Scores the shipped int8 file of a starter model on its official test split, through the runtime that serves it.
 *
 *   node models/evaluate.mjs NAME            prints the score and how far batches and graph optimisation move an answer
 *   node models/evaluate.mjs NAME --golden   also rewrites models/NAME/golden.json
 *   node models/evaluate.mjs NAME --tokens   compares the tokenizer with {"text", "ids"} lines on standard input
 *
 * The data sets are looked up in ../shared/data next to the repository, or in $GLIM_DATA.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, inflateSync } from 'node:zlib'
import { Tokenizer } from '@huggingface/tokenizers'
import * as ort from 'onnxruntime-web'

ort.env.wasm.numThreads = 1
ort.env.logLevel = 'error'

const models = dirname(fileURLToPath(import.meta.url))
const data = process.env.GLIM_DATA ?? join(models, '..', '..', 'shared', 'data')
const [name, ...flags] = process.argv.slice(2)
const folder = join(models, name ?? '')

const readJson = (file) => JSON.parse(readFileSync(join(folder, file), 'utf8'))
const readData = (file) => {
  const bytes = readFileSync(join(data, file))
  return file.endsWith('.gz') ? gunzipSync(bytes) : bytes
}
const round = (value) => Number(value.toPrecision(6))
const percent = (part, whole) => `${((100 * part) / whole).toFixed(2)} % (${part} of ${whole})`

/** RFC 4180: quoted fields may hold commas, line breaks and doubled quotes. */
function parseCsv(text) {
  const rows = [[]]
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    if (end === '' && quoted === undefined && plain === '' && rows.at(-1).length === 0) break
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    if (end === '') break
    if (end !== ',') rows.push([])
  }
  return rows.filter((row) => row.length > 0)
}

function loadSession(graphOptimizationLevel = 'all') {
  const bytes = readFileSync(join(folder, 'onnx', 'model_quantized.onnx'))
  return ort.InferenceSession.create(bytes, { executionProviders: ['wasm'], graphOptimizationLevel })
}

const int64 = (values, dims) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims)
const loadTokenizer = () => new Tokenizer(readJson('tokenizer.json'), readJson('tokenizer_config.json'))

/** Runs texts as one right-padded batch and resolves to the first output, its shape and the mask. */
async function runTexts(session, tokenizer, texts) {
  const longest = readJson('config.json').max_position_embeddings
  const rows = texts.map((text) => truncate(tokenizer.encode(text).ids, longest))
  const width = Math.max(...rows.map((row) => row.length))
  const ids = rows.flatMap((row) => [...row, ...Array(width - row.length).fill(0)])
  const mask = rows.flatMap((row) => Array.from({ length: width }, (_, i) => (i < row.length ? 1 : 0)))
  const shape = [rows.length, width]
  const output = await session.run({ input_ids: int64(ids, shape), attention_mask: int64(mask, shape) })
  const tensor = output[session.outputNames[0]]
  return { values: tensor.data, dims: tensor.dims, lengths: rows.map((row) => row.length) }
}

/** The closing special token stays when a text is cut. */
const truncate = (ids, longest) => (ids.length > longest ? [...ids.slice(0, longest - 1), ids.at(-1)] : ids)

function softmax(logits) {
  const top = Math.max(...logits)
  const powers = Array.from(logits, (value) => Math.exp(value - top))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((value) => value / sum)
}

const indexOfMax = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0)
const rowsOf = (values, width) =>
  Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width))
const largestDifference = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0)

/** What a text model must not do: answer differently in a padded batch, or when the runtime optimises its graph. */
async function reportInvariance(session, vectors, texts) {
  const alone = []
  for (const text of texts) alone.push((await vectors(session, [text]))[0])
  const together = await vectors(session, texts)
  const unoptimised = []
  const plain = await loadSession('disabled')
  for (const text of texts) unoptimised.push((await vectors(plain, [text]))[0])
  const most = (others) => Math.max(...alone.map((row, i) => largestDifference(row, others[i])))
  console.log(`largest difference alone / in a padded batch of ${texts.length}: ${most(together).toExponential(1)}`)
  console.log(`largest difference optimised / unoptimised graph: ${most(unoptimised).toExponential(1)}`)
}

function writeGolden(cases, note) {
  const golden = {
    model: 'onnx/model_quantized.onnx',
    runtime: 'onnxruntime-web 1.30.0, wasm, one thread',
    ...note,
    cases,
  }
  writeFileSync(join(folder, 'golden.json'), `${JSON.stringify(golden, null, 2)}\n`)
  console.log(`wrote golden.json with ${cases.length} cases`)
}

const classify = async (session, tokenizer, texts) => {
  const { values, dims } = await runTexts(session, tokenizer, texts)
  return rowsOf(values, dims[1])
}

/** Scores a text classifier on [text, label] pairs, one text at a time, and resolves to the pairs it got wrong. */
async function scoreTexts(pairs, goldenTexts) {
  const [session, tokenizer] = [await loadSession(), loadTokenizer()]
  const { id2label } = readJson('config.json')
  const vectors = (model, texts) => classify(model, tokenizer, texts)
  const wrong = []
  const started = performance.now()
  for (const [text, label] of pairs) {
    const [logits] = await vectors(session, [text])
    const answer = id2label[indexOfMax(logits)]
    if (answer !== label) wrong.push({ text, label, answer })
  }
  const each = (performance.now() - started) / pairs.length
  console.log(`${name}: accuracy ${percent(pairs.length - wrong.length, pairs.length)}, ${each.toFixed(2)} ms a text`)
  await reportInvariance(
    session,
    vectors,
    pairs.slice(0, 8).map(([text]) => text),
  )
  if (flags.includes('--golden')) {
    const cases = []
    for (const text of goldenTexts) {
      const [logits] = await vectors(session, [text])
      const scores = softmax(logits)
      const best = indexOfMax(scores)
      cases.push({ text, label: id2label[best], score: round(scores[best]) })
    }
    writeGolden(cases, { tolerance: 1e-3 })
  }
  return wrong
}

async function evaluateIntent() {
  const pairs = parseCsv(readData('banking77/test.csv').toString()).slice(1)
  await scoreTexts(pairs, [
    'I lost my card, what do I do now?',
    'why has my top up not gone through',
    'How long will the transfer to my account take?',
    'the ATM kept my card!!',
    'What exchange rate do you use?',
    'Please close my account',
    'I was charged twice for the same coffee',
  ])
}

/** The 1st, 11th, 21st and so on sentence of each language is in no training set; sentences under 40 characters are left out. */
function heldBackSentences() {
  const seen = {}
  return readData('lingua/sentences.tsv.gz')
    .toString()
    .split('\n')
    .filter(Boolean)
    .flatMap((line) => {
      const tab = line.indexOf('\t')
      const [language, text] = [line.slice(0, tab), line.slice(tab + 1)]
      seen[language] = (seen[language] ?? -1) + 1
      return seen[language] % 10 === 0 && [...text].length >= 40 ? [[text, language]] : []
    })
}

async function evaluateLanguage() {
  const pairs = heldBackSentences()
  const wrong = await scoreTexts(pairs, [
    'Where does the river meet the sea?',
    'Où le fleuve rejoint-il la mer ?',
    'Wo mündet der Fluss ins Meer?',
    '川はどこで海に注ぎますか。',
    'Где река впадает в море?',
    'أين يلتقي النهر بالبحر؟',
    '¿Dónde se encuentra el río con el mar?',
  ])
  const confusions = {}
  for (const { label, answer } of wrong) confusions[`${label}→${answer}`] = (confusions[`${label}→${answer}`] ?? 0) + 1
  const most = Object.entries(confusions)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 8)
  console.log(`most frequent confusions: ${most.map(([pair, count]) => `${pair} ${count}`).join(', ')}`)
}

/** The little of PNG that 8-bit greyscale images written with filter 0 need. */
function readGreyPng(bytes) {
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
  const parts = []
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    if (bytes.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)))
  }
  const rows = inflateSync(Buffer.concat(parts))
  return Buffer.concat(
    Array.from({ length: height }, (_, y) => rows.subarray(y * (width + 1) + 1, (y + 1) * (width + 1))),
  )
}

async function evaluateDigits() {
  const session = await loadSession()
  const images = readData('mnist/t10k-images-idx3-ubyte.gz').subarray(16)
  const labels = readData('mnist/t10k-labels-idx1-ubyte.gz').subarray(8)
  const run = async (model, pixels) => {
    const input = new ort.Tensor(
      'float32',
      Float32Array.from(pixels, (value) => value / 255),
      [pixels.length / 784, 1, 28, 28],
    )
    return rowsOf((await model.run({ pixel_values: input })).logits.data, 10)
  }
  let right = 0
  const started = performance.now()
  for (let i = 0; i < labels.length; i += 50) {
    const logits = await run(session, images.subarray(i * 784, (i + 50) * 784))
    right += logits.filter((row, j) => indexOfMax(row) === labels[i + j]).length
  }
  console.log(
    `digits: accuracy ${percent(right, labels.length)}, ${((performance.now() - started) / labels.length).toFixed(2)} ms an image`,
  )
  const eight = images.subarray(0, 8 * 784)
  const plain = await loadSession('disabled')
  let [batched, optimised] = [0, 0]
  const together = await run(session, eight)
  for (let i = 0; i < 8; i++) {
    const [alone] = await run(session, eight.subarray(i * 784, (i + 1) * 784))
    const [unoptimised] = await run(plain, eight.subarray(i * 784, (i + 1) * 784))
    batched = Math.max(batched, largestDifference(alone, together[i]))
    optimised = Math.max(optimised, largestDifference(alone, unoptimised))
  }
  console.log(`largest difference alone / in a batch of 8: ${batched.toExponential(1)}`)
  console.log(`largest difference optimised / unoptimised graph: ${optimised.toExponential(1)}`)
  if (!flags.includes('--golden')) return
  const cases = []
  const describe = async (input, pixels) => {
    const scores = softmax((await run(session, pixels))[0])
    const best = indexOfMax(scores)
    return { ...input, label: String(best), score: round(scores[best]) }
  }
  cases.push(await describe({ image: 'sample.png' }, readGreyPng(readFileSync(join(folder, 'sample.png')))))
  for (const i of [1, 2, 3, 4, 7]) {
    const pixels = images.subarray(i * 784, (i + 1) * 784)
    cases.push(await describe({ pixelsBase64: pixels.toString('base64') }, pixels))
  }
  writeGolden(cases, { tolerance: 1e-3, note: 'pixelsBase64 holds 28x28 grey values, one byte each, row by row' })
}

/** Mean over the tokens that are there, then length 1, as 1_Pooling/config.json and modules.json say. */
async function embedTexts(session, tokenizer, texts) {
  const { values, dims, lengths } = await runTexts(session, tokenizer, texts)
  const [, width, dim] = dims
  return lengths.map((length, i) => {
    const mean = new Float64Array(dim)
    for (let t = 0; t < length; t++) for (let d = 0; d < dim; d++) mean[d] += values[(i * width + t) * dim + d] / length
    const norm = Math.hypot(...mean)
    return { norm, vector: mean.map((value) => value / norm) }
  })
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0)

/** Ranks from 0, equal values sharing their mean rank. */
function ranksOf(values) {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b])
  const ranks = new Float64Array(values.length)
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && values[order[end]] === values[order[start]]) end++
    for (let i = start; i < end; i++) ranks[order[i]] = (start + end - 1) / 2
  }
  return ranks
}

function spearman(a, b) {
  const [x, y] = [ranksOf(a), ranksOf(b)]
  const mean = (a.length - 1) / 2
  const sum = (f) => x.reduce((total, _, i) => total + f(x[i] - mean, y[i] - mean), 0)
  return sum((p, q) => p * q) / Math.sqrt(sum((p) => p * p) * sum((_, q) => q * q))
}

/** Every sentence next to one that says the same; sentences of different rows have nothing to do with each other. */
const paraphrases = [
  ['I lost my bank card yesterday.', 'Yesterday my bank card got lost.'],
  ['A man is playing the guitar on stage.', 'On the stage a man plays a guitar.'],
  ['The two dogs are running through the snow.', 'Two dogs run in the snow.'],
  ['How do I reset my password?', 'Resetting a password: how is it done?'],
]

async function evaluateEmbed() {
  const [session, tokenizer] = [await loadSession(), loadTokenizer()]
  const vectors = async (model, texts) => (await embedTexts(model, tokenizer, texts)).map(({ vector }) => vector)
  const one = async (text) => (await vectors(session, [text]))[0]
  const pairs = parseCsv(readData('stsb/test.csv').toString())
  const cosines = []
  const started = performance.now()
  for (const [first, second] of pairs) cosines.push(dot(await one(first), await one(second)))
  const each = (performance.now() - started) / (2 * pairs.length)
  const correlation = spearman(
    cosines,
    pairs.map(([, , score]) => Number(score)),
  )
  console.log(
    `embed: STS-B test Spearman ${correlation.toFixed(4)} (${pairs.length} pairs), ${each.toFixed(2)} ms a text`,
  )

  const texts = parseCsv(readData('banking77/test.csv').toString()).slice(1)
  const bank = []
  for (const [text] of texts) bank.push(Float32Array.from(await one(text)))
  let found = 0
  for (let i = 0; i < bank.length; i++) {
    let [best, nearest] = [-2, -1]
    for (let j = 0; j < bank.length; j++) {
      if (j === i) continue
      let cosine = 0
      for (let d = 0; d < bank[i].length; d++) cosine += bank[i][d] * bank[j][d]
      if (cosine > best) [best, nearest] = [cosine, j]
    }
    if (texts[nearest][1] === texts[i][1]) found++
  }
  console.log(`nearest other text of banking77's test split has the same intent: ${percent(found, bank.length)}`)

  const said = await vectors(
    session,
    paraphrases.map(([text]) => text),
  )
  const again = await vectors(
    session,
    paraphrases.map(([, text]) => text),
  )
  const same = said.map((vector, i) => dot(vector, again[i]))
  const other = said.flatMap((vector, i) => again.filter((_, j) => j !== i).map((partner) => dot(vector, partner)))
  console.log(
    `paraphrases: lowest cosine ${Math.min(...same).toFixed(3)}, highest of unrelated sentences ${Math.max(...other).toFixed(3)}`,
  )
  await reportInvariance(
    session,
    vectors,
    pairs.slice(0, 8).map(([text]) => text),
  )
  if (!flags.includes('--golden')) return
  const cases = []
  for (const text of [...paraphrases.slice(0, 3).flat(), '', 'Zürich – naïve “quotes” & 42.5 %']) {
    const [{ norm, vector }] = await embedTexts(session, tokenizer, [text])
    cases.push({ text, vector: Array.from(vector.slice(0, 8), round), norm: round(norm) })
  }
  writeGolden(cases, {
    tolerance: 1e-4,
    note: 'vector: first 8 values after mean pooling and normalisation; norm: length of the mean before it',
  })
}

/** A decoder with its key/value cache; `run` resolves to the logits of every new position. */
class Decoder {
  constructor(session) {
    this.session = session
    this.config = readJson('config.json')
    this.reset()
  }

  reset() {
    const { num_key_value_heads: heads, head_dim: size, num_hidden_layers: layers } = this.config
    const empty = () => new ort.Tensor('float32', new Float32Array(0), [1, heads, 0, size])
    this.past = {}
    for (let i = 0; i < layers; i++)
      for (const kind of ['key', 'value']) this.past[`past_key_values.${i}.${kind}`] = empty()
    this.length = 0
  }

  async run(ids) {
    this.length += ids.length
    const output = await this.session.run({
      input_ids: int64(ids, [1, ids.length]),
      attention_mask: int64(Array(this.length).fill(1), [1, this.length]),
      // All of them: zero is the convention of such exports for "keep every position".
      num_logits_to_keep: int64([0], []),
      ...this.past,
    })
    for (const key of Object.keys(this.past)) this.past[key] = output[key.replace('past_key_values', 'present')]
    return rowsOf(output.logits.data, output.logits.dims[2])
  }
}

/** Bits of each document in windows of 512 tokens that start with <s> and overlap by half, over the document's bytes. */
async function bitsPerByte(decoder, tokenizer, documents) {
  const window = decoder.config.max_position_embeddings
  let [bits, bytes] = [0, 0]
  for (const document of documents) {
    const ids = tokenizer.encode(document).ids
    bytes += Buffer.byteLength(document)
    for (let start = 0; start < Math.max(1, ids.length - 1 - window / 2); start += window / 2) {
      const part = ids.slice(start, start + window + 1)
      decoder.reset()
      const logits = await decoder.run(part.slice(0, -1))
      for (let i = start ? window / 2 : 0; i < logits.length; i++) {
        const top = Math.max(...logits[i])
        const sum = logits[i].reduce((total, value) => total + Math.exp(value - top), 0)
        bits += (Math.log(sum) + top - logits[i][part[i + 1]]) / Math.LN2
      }
    }
  }
  return bits / bytes
}

/** A choice by less may turn with another kernel's rounding, and says nothing of the model. */
const leastMargin = 0.04

/** `margin`: the least distance between the chosen token's logit and the next one's. */
async function generateGreedily(decoder, tokenizer, prompt, count) {
  const prompted = tokenizer.encode(prompt).ids
  const ids = []
  let margin = Number.POSITIVE_INFINITY
  decoder.reset()
  for (let next = prompted; ids.length < count; next = [ids.at(-1)]) {
    const logits = (await decoder.run(next)).at(-1)
    const [first, second] = logits.toSorted((a, b) => b - a)
    margin = Math.min(margin, first - second)
    ids.push(indexOfMax(logits))
  }
  return { ids, text: tokenizer.decode([...prompted, ...ids], { skip_special_tokens: true }), margin }
}

async function evaluateStory() {
  const [decoder, tokenizer] = [new Decoder(await loadSession()), loadTokenizer()]
  const documents = readData('stories/stories-valid.txt.gz')
    .toString()
    .split('<|endoftext|>\n')
    .map((document) => document.replace(/^\n+|\n+$/g, ''))
    .filter(Boolean)
  console.log(
    `story: ${(await bitsPerByte(decoder, tokenizer, documents)).toFixed(4)} bits per byte on ${documents.length} held-back documents`,
  )

  const ids = tokenizer.encode(documents[0]).ids.slice(0, 24)
  decoder.reset()
  const whole = await decoder.run(ids)
  decoder.reset()
  const stepwise = []
  for (const id of ids) stepwise.push((await decoder.run([id]))[0])
  const plain = new Decoder(await loadSession('disabled'))
  const unoptimised = await plain.run(ids)
  const most = (others) => Math.max(...whole.map((row, i) => largestDifference(row, others[i]))).toExponential(1)
  console.log(`largest difference one run / token by token: ${most(stepwise)}`)
  console.log(`largest difference optimised / unoptimised graph: ${most(unoptimised)}`)

  const started = performance.now()
  const { text } = await generateGreedily(decoder, tokenizer, 'Once upon a time', 64)
  console.log(`${((performance.now() - started) / 64).toFixed(2)} ms a token: ${JSON.stringify(text)}`)
  if (!flags.includes('--golden')) return
  const cases = []
  for (const prompt of [
    'Once upon a time',
    'The old king had',
    '"Who are you?" said',
    'In the forest there lived a fox who',
    'Alice was',
  ]) {
    const { margin, ...written } = await generateGreedily(decoder, tokenizer, prompt, 24)
    if (margin < leastMargin) throw new Error(`"${prompt}" has a choice by ${margin} only; take another prompt.`)
    cases.push({ prompt, ...written })
  }
  writeGolden(cases, { note: 'ids: 24 greedy tokens after the prompt, prefill in one run, then one token a run' })
}

/** Compares token ids with the ones the training code gives; one {"text", "ids"} object a line on standard input. */
function compareTokens() {
  const tokenizer = loadTokenizer()
  const lines = readFileSync(0, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  const different = lines.filter(({ text, ids }) => tokenizer.encode(text).ids.join() !== ids.join())
  console.log(`${name}: ${lines.length - different.length} of ${lines.length} texts tokenised the same`)
  for (const { text, ids } of different.slice(0, 5))
    console.log(JSON.stringify({ text, ids, got: tokenizer.encode(text).ids }))
  process.exitCode = different.length ? 1 : 0
}

const evaluations = {
  intent: evaluateIntent,
  digits: evaluateDigits,
  embed: evaluateEmbed,
  language: evaluateLanguage,
  story: evaluateStory,
}
if (!(name in evaluations))
  throw new Error(`usage: node models/evaluate.mjs ${Object.keys(evaluations).join('|')} [--golden|--tokens]`)
if (flags.includes('--tokens')) compareTokens()
else await evaluations[name]()
