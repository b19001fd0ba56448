/** What comes in wrong: each is refused in words, in the dialect's shape, and the server answers the next request. */
import { createHash } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Dialect } from '#src/gateway/error-body.ts'
import { expectError, messageOf } from '../support/error-shape.ts'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { classifierFiles, embedderFiles, json, onnxModel, scaleModel } from '../support/onnx-model.ts'
import { adminTestToken, type Reply, startTestServer, type TestServer } from '../support/server.ts'

const mib = 1024 * 1024
const asJson = { 'content-type': 'application/json' }
let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
  await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(2) }], 'scale')
  await createEndpoint(server, 'scale', 'scale')
  await importFiles(server, embedderFiles(), 'words')
  await createEndpoint(server, 'words', 'words')
})
afterAll(async () => {
  await server.stop()
  expect(server.lines).toEqual([])
})
afterEach(async () => {
  const reply = await server.send('POST', '/serving-endpoints/scale/invocations', { inputs: [[1, 2]] })
  expect(reply.json).toEqual({ predictions: { y: [[2, 4]] } })
})

const dialects: readonly [Dialect, string][] = [
  ['native', '/serving-endpoints/scale/invocations'],
  ['native', '/serving-endpoints/scale/served-models/scale-1/invocations'],
  ['native', '/api/2.0/serving-endpoints'],
  ['native', '/api/2.0/glim/models/import'],
  ['native', '/api/2.0/token/create'],
  ['openai', '/v1/embeddings'],
  ['openai', '/serving-endpoints/embeddings'],
  ['open-inference', '/v2/models/scale/infer'],
]

describe.each(dialects)('in the %s dialect, %s', (dialect, path) => {
  const deep = `{"inputs":${'['.repeat(20_000)}${']'.repeat(20_000)}}`

  it.each<[string, string | Uint8Array, Record<string, string>, number, string | RegExp]>([
    ['an empty body', '', asJson, 400, 'Ensure that input is a valid JSON formatted string: the body is empty'],
    ['malformed JSON', '{"inputs":', asJson, 400, 'Ensure that input is a valid JSON formatted string'],
    ['a NaN literal', '{"inputs":[[NaN,1]]}', asJson, 400, 'Ensure that input is a valid JSON formatted string'],
    ['two documents', '{}{}', asJson, 400, 'Ensure that input is a valid JSON formatted string'],
    ['null', 'null', asJson, 400, 'null'],
    ['a list', '[]', asJson, 400, 'a list of 0'],
    ['a string', '"text"', asJson, 400, '"text"'],
    ['deep nesting', deep, asJson, 400, 'nests deeper than 64 levels'],
    ['only opening brackets', '['.repeat(mib), asJson, 400, 'nests deeper than 64 levels'],
    ['a short body that nests deeply', '['.repeat(900) + ']'.repeat(900), asJson, 400, 'nests deeper than 64 levels'],
    [
      'bytes that are no UTF-8',
      Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d),
      asJson,
      400,
      'not valid UTF-8',
    ],
    [
      'UTF-16',
      new Uint8Array(Uint16Array.from('{"a":1}', (letter) => letter.charCodeAt(0)).buffer),
      asJson,
      400,
      /JSON/,
    ],
    [
      'another content type',
      '{}',
      { 'content-type': 'application/xml' },
      415,
      'Content-Type "application/xml" is not accepted',
    ],
    ['a form', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'is not accepted'],
    ['an unknown charset', '{}', { 'content-type': 'application/json; charset=latin1' }, 415, 'charset=latin1'],
    ['an unknown parameter', '{}', { 'content-type': 'application/json; profile=x' }, 415, 'profile=x'],
  ])('refuses %s', async (_what, body, headers, status, message) => {
    const reply = await server.send('POST', path, body, { headers })
    expectError(reply, dialect, status)
    expect(messageOf(reply)).toMatch(message)
  })

  it('refuses a body without a content type', async () => {
    const reply = await server.send('POST', path, new TextEncoder().encode('{}'))
    expectError(reply, dialect, 415)
    expect(messageOf(reply)).toContain('Content-Type is missing')
  })

  it('refuses 17 MiB, announced or in chunks', async () => {
    for (const chunked of [false, true]) {
      const reply = await upload(path, 17, { chunked })
      expectError(reply, dialect, 413)
      expect(messageOf(reply)).toMatch(/may have at most \d+ bytes/)
    }
  })

  it('refuses other methods with 405 and says which there are', async () => {
    const reply = await server.send('PATCH', path)
    expectError(reply, dialect, 405)
    expect(reply.headers.get('allow')).toContain('POST')
  })
})

describe('paths', () => {
  it.each<[string, string, string, Dialect, number, string]>([
    [
      'an unknown endpoint',
      'POST',
      '/serving-endpoints/nobody/invocations',
      'native',
      404,
      'The given endpoint does not exist',
    ],
    [
      'an unknown entity',
      'POST',
      '/serving-endpoints/scale/served-models/none/invocations',
      'native',
      404,
      'no served entity none',
    ],
    ['an unknown model of the protocol', 'GET', '/v2/models/nobody', 'open-inference', 404, 'does not exist'],
    ['an unknown OpenAI model', 'GET', '/v1/models/nobody', 'openai', 404, 'does not exist'],
    ['an unknown route', 'GET', '/nothing', 'native', 404, 'No route GET /nothing'],
    ['an unknown OpenAI route', 'POST', '/v1/audio/speech', 'openai', 404, 'No route'],
    ['an unknown protocol route', 'GET', '/v2/repository/index', 'open-inference', 404, 'No route'],
    ['the Anthropic route', 'POST', '/v1/messages', 'anthropic', 400, 'model: expected the name of a serving endpoint'],
    ['the Anthropic route with another method', 'GET', '/v1/messages', 'anthropic', 405, 'takes POST'],
    ['cut percent encoding', 'GET', '/api/2.0/serving-endpoints/%zz', 'native', 400, 'percent-encoded'],
    ['percent encoding of no UTF-8', 'GET', '/v1/models/%ff%fe', 'openai', 400, 'percent-encoded'],
    ['an encoded zero', 'GET', '/api/2.0/serving-endpoints/%00', 'native', 404, 'not found'],
    ['an encoded slash', 'GET', '/api/2.0/serving-endpoints/..%2f..%2fetc', 'native', 404, 'not found'],
    ['a name of the prototype', 'GET', '/api/2.0/serving-endpoints/__proto__', 'native', 404, 'not found'],
    ['a model of the prototype', 'GET', '/api/2.0/glim/models/constructor', 'native', 404, 'does not exist'],
    ['a version that is no number', 'GET', "/api/2.0/glim/models/scale/versions/1'--", 'native', 404, 'no version'],
    ['a digest that is none', 'PUT', '/api/2.0/glim/blobs/sha256:..', 'native', 400, 'expected "sha256:"'],
  ])('of %s get their answer', async (_what, method, path, dialect, status, message) => {
    const reply = await server.send(method, path, method === 'POST' ? { inputs: [[1, 2]] } : undefined)
    expectError(reply, dialect, status)
    expect(messageOf(reply)).toContain(message)
  })
})

describe('values against the signature', () => {
  it.each<[string, object, string]>([
    ['a string for a number', { inputs: [['1', 2]] }, 'inputs[0][0]: expected a number (float32), got the string "1"'],
    ['null', { inputs: [[null, 2]] }, 'inputs[0][0]: expected a number (float32), got null'],
    ['true', { inputs: [[true, 2]] }, 'got the boolean true'],
    ['a number too large', { inputs: [[1e39, 2]] }, "outside float32's range"],
    ['a wrong shape', { inputs: [[1, 2, 3]] }, 'expected float32 of shape [rows, 2], got shape [1, 3]'],
    ['a wrong rank', { inputs: [1, 2] }, 'expected float32 of shape [rows, 2], got shape [2]'],
    [
      'ragged lists',
      { inputs: [[1, 2], [3]] },
      'inputs[1]: expected a list of 2, got a list of 1: the lists are ragged',
    ],
    ['lists that end early', { inputs: [[1, 2], 3] }, 'inputs[1]: expected a list of 2, got the number 3'],
    ['no rows', { instances: [] }, 'expected at least one row, got none'],
    ['a missing column', { inputs: {} }, 'column "x" (float32) is missing; got no columns'],
    ['an extra column', { inputs: { x: [[1, 2]], z: [1] } }, 'unexpected column "z"; expected "x" (float32)'],
    ['a column of the prototype', JSON.parse('{"inputs":{"__proto__":[[1,2]]}}'), 'unexpected column "__proto__"'],
    [
      'records that differ',
      { dataframe_records: [{ x: [1, 2] }, { z: [1, 2] }] },
      'column "x" of the first record is missing',
    ],
    [
      'a record that is none',
      { dataframe_records: [{ x: [1, 2] }, 7] },
      'dataframe_records[1]: expected an object of columns, got the number 7',
    ],
    ['a column twice', { dataframe_split: { columns: ['x', 'x'], data: [[1, 2]] } }, 'columns names one column twice'],
    [
      'an unknown parameter',
      { inputs: [[1, 2]], params: { temperature: 1 } },
      'params.temperature: the task has no such parameter',
    ],
    ['lists nested beyond any rank', { inputs: { x: nested(20) } }, 'nests deeper than the 16 dimensions allowed'],
  ])('are refused for %s', async (_what, body, message) => {
    const reply = await server.send('POST', '/serving-endpoints/scale/invocations', body)
    expectError(reply, 'native', 400)
    expect(reply.json.error_code).toBe('BAD_REQUEST')
    expect(messageOf(reply)).toContain(message)
  })

  it.each<[string, string, string]>([
    ['nothing', '', 'The CSV is empty'],
    ['a header alone', 'p,q\n', 'expected at least one row'],
    ['a longer row', 'p,q\n1,2,3\n', 'The CSV cannot be read'],
    ['an open quote', 'p,q\n"1,2\n', 'The CSV cannot be read'],
    ['a word', 'p,q\n1,two\n', 'got the string "two"'],
    ['an empty cell', 'p,q\n1,\n', 'got the string ""'],
    ['a column twice', 'p,p\n1,2\n', 'names column "p" twice'],
  ])('are refused in CSV for %s', async (_what, body, message) => {
    const reply = await server.send('POST', '/serving-endpoints/scale/invocations', body, {
      headers: { 'content-type': 'text/csv' },
    })
    expectError(reply, 'native', 400)
    expect(messageOf(reply)).toContain(message)
  })

  it('are refused for texts that are none, by column and row', async () => {
    const reply = await server.send('POST', '/serving-endpoints/words/invocations', { inputs: { text: ['a', 5] } })
    expectError(reply, 'native', 400)
    expect(messageOf(reply)).toContain('inputs.text[1]: expected a string, got the number 5')
  })
})

describe('connections', () => {
  it('refuses a foreign Host and a foreign Origin', async () => {
    for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example:80']) {
      expect(
        await raw(
          `GET /v1/models HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${adminTestToken}\r\nconnection: close\r\n\r\n`,
        ),
      ).toMatch(/^HTTP\/1.1 403 [\s\S]*x-request-id[\s\S]*is not this machine/)
    }
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1.evil.example', 'file://']) {
      const reply = await server.send('GET', '/v1/models', undefined, { headers: { origin } })
      expectError(reply, 'openai', 403)
      expect(messageOf(reply)).toContain('are not accepted')
    }
    expect(
      (await server.send('GET', '/v1/models', undefined, { headers: { origin: 'http://localhost:3000' } })).status,
    ).toBe(200)
  })

  it('answers what is no HTTP with 400', async () => {
    const head = `host: ${server.url.host}\r\nauthorization: Bearer ${adminTestToken}\r\n`
    for (const text of [
      'NONSENSE\r\n\r\n',
      `GET /v1/models HTTP/1.1\r\n${head}x: a\0b\r\n\r\n`,
      `POST /serving-endpoints/scale/invocations HTTP/1.1\r\n${head}content-type: application/json\r\ncontent-length: ten\r\n\r\n`,
    ]) {
      const answer = await raw(text)
      expect(answer).toMatch(/^HTTP\/1.1 400 /)
      expect(answer).not.toContain(adminTestToken)
    }
  })

  it('survives headers of 100 kB and of 10 MB', async () => {
    const head = `GET /health HTTP/1.1\r\nhost: ${server.url.host}\r\nconnection: close\r\n`
    expect(await raw(`${head}x-long: ${'a'.repeat(100_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 (200|431)/)
    expect(await raw(`${head}x-long: ${'a'.repeat(10 * mib)}\r\n\r\n`)).toMatch(/^$|^HTTP\/1.1 (4|5)/)
  })

  it('survives clients that go away in the middle of an upload', async () => {
    const head = `POST /serving-endpoints/scale/invocations HTTP/1.1\r\nhost: ${server.url.host}\r\nauthorization: Bearer ${adminTestToken}\r\ncontent-type: application/json\r\n`
    for (const framing of ['content-length: 1000000\r\n\r\n', 'transfer-encoding: chunked\r\n\r\n400\r\n']) {
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const socket = connect(Number(server.url.port), '127.0.0.1')
          await new Promise<void>((sent) => socket.write(`${head}${framing}{"inputs":[[1,`, () => sent()))
          socket.destroy()
        }),
      )
    }
  })

  it('survives clients that go away while the model runs', async () => {
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const abort = new AbortController()
        const call = server.send(
          'POST',
          '/serving-endpoints/scale/invocations',
          { inputs: Array(20_000).fill([1, 2]) },
          { signal: abort.signal },
        )
        setImmediate(() => abort.abort())
        await call.catch(() => {})
      }),
    )
  })
})

describe('models', () => {
  const bytes = (text: string) => new TextEncoder().encode(text)
  const port = (name: string) => ({ name, dtype: 'float32', shape: [1] }) as const
  const unknownOperator = onnxModel({
    nodes: [{ operator: 'Frobnicate', inputs: ['x'], outputs: ['y'] }],
    inputs: [port('x')],
    outputs: [port('y')],
  })
  const cycle = onnxModel({
    nodes: [{ operator: 'Identity', inputs: ['y'], outputs: ['y'] }],
    inputs: [port('x')],
    outputs: [port('y')],
  })
  const [graph, ...companions] = classifierFiles()

  it.each<[string, { path: string; bytes: Uint8Array }[], Record<string, unknown>, string]>([
    ['is empty', [{ path: 'model.onnx', bytes: new Uint8Array() }], {}, 'model.onnx'],
    ['is text', [{ path: 'model.onnx', bytes: bytes('<html>not found</html>') }], {}, 'cannot be loaded'],
    ['is cut', [{ path: 'model.onnx', bytes: scaleModel(2).subarray(0, 60) }], {}, 'cannot be loaded'],
    [
      'is a protobuf without a graph',
      [{ path: 'model.onnx', bytes: Uint8Array.of(0x08, 0x08) }],
      {},
      'cannot be loaded',
    ],
    ['has an operator that nobody knows', [{ path: 'model.onnx', bytes: unknownOperator }], {}, 'Frobnicate'],
    ['feeds on itself', [{ path: 'model.onnx', bytes: cycle }], {}, 'cannot be loaded'],
    ['is not there', [json('config.json', {})], {}, 'there is no .onnx file at all'],
    [
      'is another file',
      [{ path: 'model.onnx', bytes: scaleModel(2) }],
      { file: 'other.onnx' },
      '"other.onnx" is not among',
    ],
    ['has no tokenizer for its task', [graph!], { task: 'text-classification' }, 'needs tokenizer.json'],
    [
      'has a tokenizer that is none',
      [
        graph!,
        ...companions.filter(({ path }) => path !== 'tokenizer.json'),
        json('tokenizer.json', { version: '1.0' }),
      ],
      {},
      'tokenizer',
    ],
    [
      'has a tokenizer that is no JSON',
      [
        graph!,
        ...companions.filter(({ path }) => path !== 'tokenizer.json'),
        { path: 'tokenizer.json', bytes: bytes('{"version"') },
      ],
      {},
      'tokenizer.json',
    ],
    [
      'has a configuration that is no JSON',
      [graph!, ...companions.filter(({ path }) => path !== 'config.json'), { path: 'config.json', bytes: bytes('{') }],
      {},
      'config.json',
    ],
    [
      'is given an unknown task',
      [{ path: 'model.onnx', bytes: scaleModel(2) }],
      { task: 'telepathy' },
      'is not one of',
    ],
    [
      'does not answer its example',
      [{ path: 'model.onnx', bytes: scaleModel(2) }],
      { input_example: { inputs: [['a']] } },
      'did not answer its input example',
    ],
    ['has an impossible name', [{ path: 'model.onnx', bytes: scaleModel(2) }], { name: '../x' }, 'name'],
    [
      'has options beyond measure',
      [{ path: 'model.onnx', bytes: scaleModel(2) }],
      { options: { a: 'x'.repeat(100_000) } },
      'options',
    ],
  ])('are refused whose file %s, and nothing is registered', async (_what, files, extra, message) => {
    const reply = await importFiles(server, files, 'broken', extra)
    expectError(reply, 'native', 400)
    expect(messageOf(reply)).toContain(message)
    expect((await server.send('GET', '/api/2.0/glim/models/broken')).status).toBe(404)
  })

  const digest = (content: Uint8Array) => `sha256:${createHash('sha256').update(content).digest('hex')}`
  const known = scaleModel(2)
  const shard = { digest: digest(known), sizeBytes: known.byteLength }
  const artifact = { path: 'model.onnx', sizeBytes: known.byteLength, digest: shard.digest, shards: [shard] }
  const absent = { digest: digest(bytes('absent')), sizeBytes: known.byteLength }
  const manifest = (...artifacts: object[]) => ({ name: 'broken', manifest: { version: 1, artifacts } })

  it.each<[string, object, string]>([
    ['a path that climbs', manifest({ ...artifact, path: '../model.onnx' }), 'expected a relative path'],
    ['an absolute path', manifest({ ...artifact, path: '/etc/passwd' }), 'expected a relative path'],
    ['a path with a backslash', manifest({ ...artifact, path: 'a\\b.onnx' }), 'expected a relative path'],
    ['a path with a zero', manifest({ ...artifact, path: 'a\0b.onnx' }), 'expected a relative path'],
    ['a file twice', manifest(artifact, artifact), 'is listed twice'],
    ['sizes that do not add up', manifest({ ...artifact, sizeBytes: 1 }), 'does not equal the'],
    [
      'a shard of another size than its bytes',
      manifest({ ...artifact, sizeBytes: 7, shards: [{ ...shard, sizeBytes: 7 }] }),
      'not the 7 of the manifest',
    ],
    [
      'a shard that nobody sent',
      manifest({ ...artifact, digest: absent.digest, shards: [absent] }),
      'were not uploaded',
    ],
    [
      'a shard of more than 8 MiB',
      manifest({ ...artifact, sizeBytes: 9 * mib, shards: [{ ...shard, sizeBytes: 9 * mib }] }),
      'expected at most 8388608',
    ],
    ['a digest that is none', manifest({ ...artifact, digest: 'md5:0' }), 'expected "sha256:"'],
    ['a negative size', manifest({ ...artifact, sizeBytes: -1 }), 'sizeBytes'],
    ['no files', manifest(), 'manifest.artifacts'],
    ['an unknown version', { name: 'broken', manifest: { version: 2, artifacts: [artifact] } }, 'manifest.version'],
    [
      'an unknown field',
      { name: 'broken', manifest: { version: 1, artifacts: [artifact], extra: 1 } },
      'unknown field "extra"',
    ],
  ])('are refused whose manifest has %s', async (_what, body, message) => {
    const reply = await server.send('POST', '/api/2.0/glim/models/import', body)
    expectError(reply, 'native', 400)
    expect(messageOf(reply)).toContain(message)
  })

  it('keep their bytes when a manifest of somebody else misstates them', async () => {
    const before = await server.send('POST', '/api/2.0/glim/blobs/missing', { digests: [shard.digest] })
    expect(before.json).toEqual({ missing: [] })
  })

  it('are refused shards whose bytes are not what they are called, or are too many', async () => {
    const wrong = await server.send('PUT', `/api/2.0/glim/blobs/${absent.digest}`, bytes('something else'))
    expectError(wrong, 'native', 400)
    expect(messageOf(wrong)).toContain(`not ${absent.digest}`)
    const big = new Uint8Array(9 * mib)
    expectError(await server.send('PUT', `/api/2.0/glim/blobs/${digest(big)}`, big), 'native', 413)
    expect(
      (await server.send('POST', '/api/2.0/glim/blobs/missing', { digests: [absent.digest, digest(big)] })).json
        .missing,
    ).toHaveLength(2)
  })
})

describe('a registry of more than 32 MiB', () => {
  it('still answers, so that it can be made smaller', async () => {
    const names = Array.from({ length: 34 }, (_, at) => `long-${at}`)
    const made = await Promise.all(
      names.map((name) =>
        server.send('POST', '/api/2.0/serving-endpoints', { name, description: 'd'.repeat(1_000_000) }),
      ),
    )
    if (made.every(({ status }) => status === 400)) return
    expect((await server.send('GET', '/v1/models')).status).toBe(200)
    for (const name of names)
      expect((await server.send('DELETE', `/api/2.0/serving-endpoints/${name}`)).status).toBe(200)
  })
})

function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)]
}

/** Bytes as they are to a socket; resolves to what came back before it closed. */
function raw(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(server.url.port), '127.0.0.1')
    let answer = ''
    socket.setTimeout(5_000, () => socket.destroy())
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    socket.write(text)
  })
}

/** Spaces, as a client sends them that reads the reply while it still writes. */
function upload(path: string, sizeMib: number, { chunked }: { chunked: boolean }): Promise<Reply> {
  const framing: Record<string, string | number> = chunked
    ? { 'transfer-encoding': 'chunked' }
    : { 'content-length': sizeMib * mib }
  return new Promise((resolve, reject) => {
    const call = httpRequest(new URL(path, server.url), {
      method: 'POST',
      headers: { ...asJson, authorization: `Bearer ${adminTestToken}`, ...framing },
    })
    call.on('response', async (response) => {
      let text = ''
      for await (const part of response) text += part
      const headers = new Headers(Object.entries(response.headers).map(([name, value]) => [name, String(value)]))
      resolve({ status: response.statusCode ?? 0, headers, text, json: JSON.parse(text) })
    })
    // A server may close while the rest is on its way; only silence is a fault.
    call.on('error', reject)
    const part = Buffer.alloc(mib, ' ')
    for (let at = 0; at < sizeMib; at++) call.write(part)
    call.end()
  })
}
