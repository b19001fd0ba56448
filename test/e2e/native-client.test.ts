/** A client of the reference platform's API, as its SDKs behave, against a real server. */
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFiles, importFolder } from '../support/import-folder.ts'
import { embedderFiles, onnxModel, scaleModel } from '../support/onnx-model.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedJson, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'

// biome-ignore lint/suspicious/noExplicitAny: replies of many shapes
type Json = any

/** An error as SDKs type it: `error_code` first, the status only without one. */
class ApiError extends Error {
  readonly type: string
  readonly status: number
  constructor(status: number, body: Json) {
    super(String(body?.error ?? body?.message ?? ''))
    this.status = status
    this.type = body?.error_code ?? `HTTP_${status}`
  }
}

/** What an SDK does: JSON in and out, `Authorization`, 429 and 503 tried again, errors by `error_code`. */
class ServingClient {
  readonly #host: URL
  readonly #token: string
  constructor(host: URL, token: string) {
    this.#host = host
    this.#token = token
  }

  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    for (;;) {
      const response = await fetch(new URL(path, this.#host), {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          'x-databricks-workspace-id': '1',
          ...(body === undefined || typeof body === 'string' ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      if (response.ok) return response
      const after = response.headers.get('retry-after')
      if ((response.status === 429 || response.status === 503) && after !== null) {
        expect(after).toMatch(/^\d+$/)
        continue
      }
      throw new ApiError(response.status, await response.json())
    }
  }

  async json(method: string, path: string, body?: unknown): Promise<Json> {
    return (await this.call(method, path, body)).json()
  }

  create = (body: unknown) => this.json('POST', '/api/2.0/serving-endpoints', body)
  get = (name: string) => this.json('GET', `/api/2.0/serving-endpoints/${name}`)
  delete = (name: string) => this.json('DELETE', `/api/2.0/serving-endpoints/${name}`)
  updateConfig = (name: string, body: unknown) => this.json('PUT', `/api/2.0/serving-endpoints/${name}/config`, body)
  patchTags = (name: string, body: unknown) => this.json('PATCH', `/api/2.0/serving-endpoints/${name}/tags`, body)
  list = async (): Promise<Json[]> => (await this.json('GET', '/api/2.0/serving-endpoints')).endpoints ?? []

  /** Looks at `state.config_update` and nothing else. */
  async wait(name: string): Promise<Json> {
    for (;;) {
      const endpoint = await this.get(name)
      if (endpoint.state.config_update === 'NOT_UPDATING') return endpoint
      if (endpoint.state.config_update !== 'IN_PROGRESS') throw new Error(`failed: ${endpoint.state.config_update}`)
      await new Promise((next) => setTimeout(next, 10))
    }
  }

  createAndWait = async (body: Json) => this.wait((await this.create(body)).name)
  updateConfigAndWait = async (name: string, body: unknown) => this.wait((await this.updateConfig(name, body)).name)

  async query(name: string, body: Json): Promise<Json> {
    const response = await this.call('POST', `/serving-endpoints/${name}/invocations`, body)
    return { ...(await response.json()), served: response.headers.get('served-model-name') }
  }
}

let server: TestServer
let client: ServingClient
beforeAll(async () => {
  server = await startTestServer()
  client = new ServingClient(server.url, adminTestToken)
  for (const factor of [2, 3]) {
    await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(factor) }], 'main.lab.scale')
  }
})
afterAll(() => server.stop())

function scale(version: string, more: object = {}) {
  return { entity_name: 'main.lab.scale', entity_version: version, ...more }
}

describe('the life of an endpoint', () => {
  it('is accepted as pending, answers once the wait is over and echoes what was declared and nothing else', async () => {
    const entity = scale('1', { scale_to_zero_enabled: false, workload_size: 'Small', environment_vars: { A: 'b' } })
    const created = await client.create({ name: 'echo', config: { served_entities: [entity] }, tags: [{ key: 'b' }] })
    expect(created).toMatchObject({
      name: 'echo',
      state: { ready: 'NOT_READY', config_update: 'IN_PROGRESS' },
      pending_config: { config_version: 1, served_entities: [{ state: { deployment: 'DEPLOYMENT_CREATING' } }] },
    })
    expect(created).not.toHaveProperty('config')

    const ready = await client.wait('echo')
    expect(ready).toMatchObject({
      id: created.id,
      creator: 'admin',
      description: '',
      permission_level: 'CAN_MANAGE',
      route_optimized: false,
      tags: [{ key: 'b' }],
      state: { ready: 'READY', config_update: 'NOT_UPDATING' },
    })
    expect(ready.id).toMatch(/^[0-9a-f]{32}$/)
    for (const field of ['creation_timestamp', 'last_updated_timestamp']) {
      expect(Math.abs(ready[field] - Date.now())).toBeLessThan(60_000)
    }
    expect(ready).not.toHaveProperty('pending_config')
    expect(ready.config.config_version).toBe(1)
    expect(ready.config.traffic_config).toEqual({
      routes: [{ served_entity_name: 'scale-1', served_model_name: 'scale-1', traffic_percentage: 100 }],
    })
    const [served] = ready.config.served_entities
    const { creator, creation_timestamp, state, ...declared } = served
    expect(declared).toEqual({ ...entity, name: 'scale-1' })
    expect({ creator, state }).toEqual({
      creator: 'admin',
      state: { deployment: 'DEPLOYMENT_READY', deployment_state_message: '' },
    })
    expect(creation_timestamp).toBeTypeOf('number')
  })

  it('takes the deprecated served_models and sends both forms back', async () => {
    const ready = await client.createAndWait({
      name: 'old-form',
      config: { served_models: [{ model_name: 'main.lab.scale', model_version: '1', workload_size: 'Small' }] },
    })
    expect(ready.config.served_models).toMatchObject([
      { name: 'scale-1', model_name: 'main.lab.scale', model_version: '1' },
    ])
    expect(ready.config.served_entities).toMatchObject([{ name: 'scale-1', entity_version: '1' }])
    expect(ready.config.served_entities[0]).not.toHaveProperty('scale_to_zero_enabled')
  })

  it('is legal without a configuration: not ready, nothing to serve, 404 to a query', async () => {
    const created = await client.createAndWait({ name: 'bare' })
    expect(created.state).toEqual({ ready: 'NOT_READY', config_update: 'NOT_UPDATING' })
    await expect(client.query('bare', { inputs: [[1, 1]] })).rejects.toMatchObject({ status: 404 })
  })

  it('answers throughout an update, from the old configuration and then from the new one; a second update gets 409', async () => {
    const names = Array.from({ length: 10 }, (_, at) => `new-${at}`)
    const update = {
      served_entities: names.map((name) => scale('2', { name })),
      traffic_config: {
        routes: names.map((name, at) => ({ served_entity_name: name, traffic_percentage: at === 0 ? 100 : 0 })),
      },
    }
    await client.createAndWait({ name: 'rolling', config: { served_entities: [scale('1')] } })
    const answers: Promise<Json>[] = []
    const query = () => answers.push(client.query('rolling', { inputs: [[1, 1]] }))
    query()
    // Connections are made beforehand, so that the updates come at the same moment and find each other under way.
    await Promise.all([0, 1, 2, 3].map(() => client.list()))
    const updates = await Promise.allSettled([0, 1, 2, 3].map(() => client.updateConfig('rolling', update)))
    query()
    const accepted = updates
      .flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
      .sort((one, other) => one.pending_config.config_version - other.pending_config.config_version)
    const refused = updates.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
    expect(accepted.slice(0, 1)).toMatchObject([
      {
        state: { ready: 'READY', config_update: 'IN_PROGRESS' },
        config: { config_version: 1, served_entities: [{ name: 'scale-1' }] },
        pending_config: { config_version: 2, start_time: expect.any(Number) },
      },
    ])
    expect(refused.length).toBeGreaterThan(0)
    for (const refusal of refused) expect(refusal).toMatchObject({ type: 'RESOURCE_CONFLICT', status: 409 })

    const done = await client.wait('rolling')
    query()
    expect(done).toMatchObject({ state: { ready: 'READY' }, config: { config_version: 1 + accepted.length } })
    expect(done).not.toHaveProperty('pending_config')
    const served = (await Promise.all(answers)).map((answer) => `${answer.served} ${answer.predictions.y}`)
    expect([...served].sort().reverse()).toEqual(served)
    expect([served.at(0), served.at(-1)]).toEqual(['scale-1 2,2', 'new-0 3,3'])
  })

  it('keeps serving when an update fails, and says why', async () => {
    const port = { dtype: 'float32', shape: ['rows', 2] } as const
    const graph = onnxModel({
      nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
      inputs: [{ name: 'x', ...port }],
      outputs: [{ name: 'y', ...port }],
    })
    await importFiles(server, [{ path: 'model.onnx', bytes: graph }], 'doomed')
    await client.createAndWait({ name: 'steady', config: { served_entities: [scale('1')] } })
    // Its bytes vanish from the store, as a disk may lose them.
    const hex = createHash('sha256').update(graph).digest('hex')
    await rm(join(server.home, 'blobs', hex.slice(0, 2), hex))

    await client.updateConfig('steady', { served_entities: [{ entity_name: 'doomed', entity_version: '1' }] })
    await expect(client.wait('steady')).rejects.toThrow('UPDATE_FAILED')
    const failed = await client.get('steady')
    expect(failed.state).toEqual({ ready: 'READY', config_update: 'UPDATE_FAILED' })
    expect(failed.config.config_version).toBe(1)
    expect(failed.pending_config.served_entities[0].state).toMatchObject({ deployment: 'DEPLOYMENT_FAILED' })
    expect(failed.state_summary).toContain('doomed-1')
    expect(await client.query('steady', { inputs: [[1, 1]] })).toMatchObject({ predictions: { y: [[2, 2]] } })
    const recovered = await client.updateConfigAndWait('steady', { served_entities: [scale('2')] })
    expect(recovered.config.config_version).toBe(3)
  })

  it('splits traffic by explicit routes, keeps 0 % routes, and answers for one entity directly', async () => {
    const config = {
      served_entities: [scale('1', { name: 'a' }), scale('2', { name: 'b' })],
      traffic_config: {
        routes: [
          { served_model_name: 'a', traffic_percentage: 0 },
          { served_entity_name: 'b', traffic_percentage: 100 },
        ],
      },
    }
    const ready = await client.createAndWait({ name: 'split', config })
    expect(ready.config.traffic_config.routes).toEqual([
      { served_entity_name: 'a', served_model_name: 'a', traffic_percentage: 0 },
      { served_entity_name: 'b', served_model_name: 'b', traffic_percentage: 100 },
    ])
    expect(await client.query('split', { inputs: [[1, 1]] })).toMatchObject({ served: 'b' })
    const direct = await client.call('POST', '/serving-endpoints/split/served-models/a/invocations', {
      inputs: [[1, 1]],
    })
    expect(direct.headers.get('served-model-name')).toBe('a')
    const moved = await client.updateConfigAndWait('split', {
      traffic_config: {
        routes: [
          { served_entity_name: 'a', traffic_percentage: 100 },
          { served_entity_name: 'b', traffic_percentage: 0 },
        ],
      },
    })
    expect(moved.config).toMatchObject({ config_version: 2, served_entities: [{ name: 'a' }, { name: 'b' }] })
    expect(await client.query('split', { inputs: [[1, 1]] })).toMatchObject({ served: 'a' })
  })

  it('is gone once it is deleted', async () => {
    await client.create({ name: 'brief', config: { served_entities: [scale('1')] } })
    expect(await client.delete('brief')).toEqual({})
    await expect(client.get('brief')).rejects.toMatchObject({ type: 'RESOURCE_DOES_NOT_EXIST', status: 404 })
    expect((await client.list()).map(({ name }) => name)).not.toContain('brief')
  })
})

describe('typed errors', () => {
  beforeAll(() => client.createAndWait({ name: 'typed', config: { served_entities: [scale('1')] } }))
  const config = (entity: object) => ({ served_entities: [entity] })

  it.each([
    [
      'a taken name',
      () => client.create({ name: 'typed' }),
      'RESOURCE_ALREADY_EXISTS',
      409,
      'Serving endpoint with name typed already exists',
    ],
    [
      'an unknown endpoint',
      () => client.get('nobody'),
      'RESOURCE_DOES_NOT_EXIST',
      404,
      'Serving endpoint with name nobody not found',
    ],
    [
      'a query to an unknown endpoint',
      () => client.query('nobody', {}),
      'RESOURCE_DOES_NOT_EXIST',
      404,
      'The given endpoint does not exist, ',
    ],
    ['an unknown path', () => client.json('GET', '/api/2.0/nothing'), 'ENDPOINT_NOT_FOUND', 404, '/api/2.0/nothing'],
    [
      'an unknown model',
      () => client.create({ name: 'x', config: config({ entity_name: 'nothing', entity_version: '1' }) }),
      'RESOURCE_DOES_NOT_EXIST',
      404,
      'nothing',
    ],
    [
      'an unknown version',
      () => client.create({ name: 'x', config: config(scale('9')) }),
      'RESOURCE_DOES_NOT_EXIST',
      404,
      'no version 9',
    ],
    [
      'both entity forms',
      () =>
        client.create({
          name: 'x',
          config: { ...config(scale('1')), served_models: [{ model_name: 'm', model_version: '1' }] },
        }),
      'INVALID_PARAMETER_VALUE',
      400,
      'Cannot use both served_models and served_entities',
    ],
    ['a name with a space', () => client.create({ name: 'a b' }), 'INVALID_PARAMETER_VALUE', 400, 'name'],
    [
      'two entities without routes',
      () => client.create({ name: 'x', config: { served_entities: [scale('1'), scale('2')] } }),
      'INVALID_PARAMETER_VALUE',
      400,
      'traffic_config',
    ],
    [
      'an unbuilt route',
      () => client.json('PUT', '/api/2.0/serving-endpoints/typed/ai-gateway', {}),
      'NOT_IMPLEMENTED',
      501,
      'ai-gateway',
    ],
    [
      'a split that is no object',
      () => client.query('typed', { dataframe_split: [] }),
      'BAD_REQUEST',
      400,
      'Dataframe split format must be a dictionary. Got list',
    ],
    [
      'records that are no list',
      () => client.query('typed', { dataframe_records: {} }),
      'BAD_REQUEST',
      400,
      'Dataframe records format must be a list of records. Got dictionary.',
    ],
    [
      'a ragged split',
      () => client.query('typed', { dataframe_split: { columns: ['x'], data: [[1, 2]] } }),
      'BAD_REQUEST',
      400,
      'Provided dataframe_split field is not a valid dataframe representation',
    ],
    [
      'two input keys',
      () => client.query('typed', { inputs: [], instances: [] }),
      'BAD_REQUEST',
      400,
      'The input must be a JSON dictionary with exactly one of the input fields',
    ],
    ['a foreign LLM key', () => client.query('typed', { prompt: 'x' }), 'BAD_REQUEST', 400, 'unknown field "prompt"'],
    [
      'a value against the signature',
      () => client.query('typed', { inputs: [['a', 1]] }),
      'BAD_REQUEST',
      400,
      'Failed to enforce schema',
    ],
  ] as const)('come for %s', async (_what, call, type, status, message) => {
    const error = await (call() as Promise<Json>).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ type, status })
    expect((error as Error).message).toContain(message)
  })
})

describe('around an endpoint', () => {
  let id: string
  beforeAll(async () => {
    id = (await client.createAndWait({ name: 'around', config: { served_entities: [scale('2')] } })).id
    await client.query('around', { inputs: [[1, 2]] })
  })

  it('describes its entities in OpenAPI 3.1, one path each, with an example that it answers', async () => {
    const text = await (
      await client.call('GET', '/api/2.0/serving-endpoints/around/openapi', undefined, { accept: 'text/plain' })
    ).text()
    const document = JSON.parse(text)
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'around', version: '1' } })
    expect(document.servers).toEqual([{ url: `${server.url.origin}/serving-endpoints/around` }])
    expect(Object.keys(document.paths)).toEqual(['/served-models/scale-2/invocations'])
    const { requestBody } = document.paths['/served-models/scale-2/invocations'].post
    expect(await client.query('around', requestBody.content['application/json'].example)).toHaveProperty('predictions')
  })

  it('has metrics, as plain text and as OpenMetrics', async () => {
    const plain = await (await client.call('GET', '/api/2.0/serving-endpoints/around/metrics')).text()
    for (const metric of [
      'request_count_total',
      'request_4xx_count_total',
      'request_5xx_count_total',
      'request_latency_ms',
    ]) {
      expect(plain).toContain(metric)
    }
    expect(plain).not.toContain('# EOF')
    const open = await client.call('GET', '/metrics', undefined, { accept: 'application/openmetrics-text' })
    expect((await open.text()).endsWith('# EOF\n')).toBe(true)
  })

  it('keeps build logs and service logs', async () => {
    const { logs: build } = await client.json(
      'GET',
      '/api/2.0/serving-endpoints/around/served-models/scale-2/build-logs',
    )
    expect(build).toContain('main.lab.scale version 2')
    expect(build.trimEnd().endsWith('Ready.')).toBe(true)
    const { logs } = await client.json('GET', '/api/2.0/serving-endpoints/around/served-models/scale-2/logs')
    expect(logs).toContain('loaded: ')
  })

  it('adds tags, then deletes, sorted by key', async () => {
    const added = await client.patchTags('around', {
      add_tags: [{ key: 'z', value: '1' }, { key: 'a' }, { key: 'gone', value: 'x' }],
      delete_tags: ['gone'],
    })
    expect(added).toEqual({ tags: [{ key: 'a' }, { key: 'z', value: '1' }] })
    expect((await client.get('around')).tags).toEqual(added.tags)
  })

  it('stores notification lists', async () => {
    const email_notifications = { on_update_success: ['a@example.com'], on_update_failure: [] }
    const reply = await client.json('PATCH', '/api/2.0/serving-endpoints/around/notifications', { email_notifications })
    expect(reply).toEqual({ name: 'around', email_notifications })
  })

  it('has permissions: levels, get, merge with PATCH, replace with PUT, remove with an empty PUT', async () => {
    const path = `/api/2.0/permissions/serving-endpoints/${id}`
    const direct = (view: Json) =>
      Object.fromEntries(
        view.access_control_list.flatMap((entry: Json) => {
          const own = entry.all_permissions.find((each: Json) => !each.inherited)
          return own
            ? [[entry.user_name ?? entry.group_name ?? entry.service_principal_name, own.permission_level]]
            : []
        }),
      )
    const { permission_levels } = await client.json('GET', `${path}/permissionLevels`)
    expect(permission_levels.map((level: Json) => level.permission_level)).toEqual([
      'CAN_VIEW',
      'CAN_QUERY',
      'CAN_MANAGE',
    ])
    const first = await client.json('GET', path)
    expect(first).toMatchObject({ object_id: `/serving-endpoints/${id}`, object_type: 'serving-endpoint' })
    expect(
      first.access_control_list.find((entry: Json) => entry.group_name === 'admins').all_permissions,
    ).toMatchObject([{ inherited: true }])

    await client.json('PATCH', path, { access_control_list: [{ user_name: 'ann', permission_level: 'CAN_VIEW' }] })
    const merged = await client.json('PATCH', path, {
      access_control_list: [
        { group_name: 'ml', permission_level: 'CAN_QUERY' },
        { user_name: 'ann', permission_level: 'CAN_QUERY' },
      ],
    })
    expect(direct(merged)).toEqual({ admin: 'CAN_MANAGE', ann: 'CAN_QUERY', ml: 'CAN_QUERY' })
    const replaced = await client.json('PUT', path, {
      access_control_list: [{ service_principal_name: 'bot', permission_level: 'CAN_MANAGE' }],
    })
    expect(direct(replaced)).toEqual({ admin: 'CAN_MANAGE', bot: 'CAN_MANAGE' })
    expect(direct(await client.json('PUT', path, {}))).toEqual({ admin: 'CAN_MANAGE' })
  })

  it('is in the list, in the short form', async () => {
    const entry = (await client.list()).find(({ name }) => name === 'around')
    expect(entry).toMatchObject({
      id,
      state: { ready: 'READY' },
      config: { served_entities: [{ name: 'scale-2', entity_version: '2' }] },
    })
    expect(entry.config.served_entities[0]).not.toHaveProperty('state')
  })
})

describe('queries of a graph', () => {
  beforeAll(() => client.createAndWait({ name: 'forms', config: { served_entities: [scale('1')] } }))
  const answer = {
    predictions: {
      y: [
        [2, 4],
        [6, 8],
      ],
    },
    served: 'scale-1',
  }

  it.each([
    ['dataframe_split', { dataframe_split: { columns: ['x'], index: [0, 1], data: [[[1, 2]], [[3, 4]]] } }],
    [
      'dataframe_split of feature columns',
      {
        dataframe_split: {
          columns: ['p', 'q'],
          data: [
            [1, 2],
            [3, 4],
          ],
        },
      },
    ],
    ['dataframe_records', { dataframe_records: [{ x: [1, 2] }, { x: [3, 4] }] }],
    ['instances', { instances: [{ x: [1, 2] }, { x: [3, 4] }] }],
    [
      'bare instances',
      {
        instances: [
          [1, 2],
          [3, 4],
        ],
      },
    ],
    [
      'inputs as an object',
      {
        inputs: {
          x: [
            [1, 2],
            [3, 4],
          ],
        },
      },
    ],
    [
      'inputs as a bare list',
      {
        inputs: [
          [1, 2],
          [3, 4],
        ],
      },
    ],
    [
      'the fields that come with any form',
      {
        inputs: [
          [1, 2],
          [3, 4],
        ],
        client_request_id: 'c',
        usage_context: { a: 'b' },
        extra_params: {},
      },
    ],
  ])('take %s', async (_form, body) => {
    expect(await client.query('forms', body)).toEqual(answer)
  })

  it('take text/csv', async () => {
    const csv = await client.call('POST', '/serving-endpoints/forms/invocations', 'p,q\r\n1,2\r\n3,4\r\n', {
      'content-type': 'text/csv; charset=utf-8',
    })
    expect(await csv.json()).toEqual({ predictions: answer.predictions })
  })
})

describe('queries of an embedder', () => {
  beforeAll(async () => {
    await importFiles(server, embedderFiles(), 'words')
    await createEndpoint(server, 'words', 'words')
  })

  it('give vectors for a text column and the OpenAI shape, unwrapped, for the key input', async () => {
    const { predictions } = await client.query('words', { dataframe_records: [{ text: 'hello' }, { text: 'cat dog' }] })
    const list = await client.query('words', { input: ['hello', 'cat dog'] })
    expect(list).toMatchObject({
      object: 'list',
      data: [{ object: 'embedding', index: 0 }, { index: 1 }],
      served: 'words-1',
    })
    expect(list.data.map((entry: Json) => entry.embedding)).toEqual(predictions)
  })

  it('keep digit strings strings', async () => {
    expect((await client.query('words', { dataframe_records: [{ text: '95120' }] })).predictions).toHaveLength(1)
    await expect(client.query('words', { dataframe_records: [{ text: 95120 }] })).rejects.toThrow('expected a string')
    const csv = await client.call('POST', '/serving-endpoints/words/invocations', 'text\n95120\n', {
      'content-type': 'text/csv',
    })
    expect((await csv.json()) as Json).toMatchObject({
      predictions: [[expect.any(Number), expect.any(Number), expect.any(Number), expect.any(Number)]],
    })
  })
})

describe.skipIf(!haveSharedModels)(`a real text classifier (${withoutSharedModels})`, () => {
  const folder = 'fixture-bert-random-sequence_classification'

  it('answers a text column with labels and scores, and takes top_k', async () => {
    await importFolder(server, sharedModelPath(folder, ''), 'classify')
    await createEndpoint(server, 'classify', 'classify')
    const labels = Object.values((sharedJson(folder, 'config.json') as { id2label: object }).id2label)
    const { predictions } = await client.query('classify', {
      inputs: { text: ['hello', 'world'] },
      params: { top_k: 2 },
    })
    expect(predictions).toHaveLength(2)
    for (const row of predictions) {
      expect(row).toHaveLength(2)
      for (const { label, score } of row) {
        expect(labels).toContain(label)
        expect(score).toBeGreaterThan(0)
      }
    }
  })
})
