/** Hub and URL sources against a test hub: what is opened, what is chosen, where the token goes. */
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { planImport } from '#src/cli/plan-import.ts'
import { hubSource } from '#src/client/sources/hub-source.ts'
import type { SourceFile } from '#src/client/sources/model-source.ts'
import { parseSource } from '#src/client/sources/parse-source.ts'
import { urlSource } from '#src/client/sources/url-source.ts'
import { memoryFile, type Repository, startTestHub, type TestHub } from '../support/test-hub.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const graph = memoryFile(bytes('fp32 graph'))
const small = memoryFile(bytes('{}'), { lfs: false })
const both: Repository = new Map([
  ['README.md', small],
  ['config.json', small],
  ['onnx/model.onnx', graph],
  ['onnx/model.onnx_data', memoryFile(bytes('weights'))],
  ['onnx/model_quantized.onnx', memoryFile(bytes('q8 graph'))],
  ['../escape.json', small],
])
const plain: Repository = new Map([['onnx/model.onnx', graph]])

let hub: TestHub
let elsewhere: TestHub
beforeEach(async () => {
  hub = await startTestHub({ 'test/both': both, 'test/plain': plain })
  elsewhere = await startTestHub({ 'test/both': both })
})
afterEach(() => Promise.all([hub.stop(), elsewhere.stop()]))

const patience = { attempts: 3, sleep: async () => {} }
const source = (repository = 'test/both', revision = 'main', token?: string) =>
  hubSource({ hub: { url: hub.url, ...(token ? { token } : {}) }, repository, revision, ...patience })

async function textOf(file: SourceFile | undefined): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of file!.read()) text += decoder.decode(chunk, { stream: true })
  return text
}

describe('what is typed as SOURCE', () => {
  const commit = 'a'.repeat(40)
  it.each([
    ['hf:owner/name', { kind: 'hub', repository: 'owner/name', revision: 'main' }],
    [`hf:Own-er/na.me_1@${commit}`, { kind: 'hub', repository: 'Own-er/na.me_1', revision: commit }],
    ['hf:owner/name@refs/pr/1', { kind: 'hub', repository: 'owner/name', revision: 'refs/pr/1' }],
    ['https://host/a.onnx', { kind: 'url', url: new URL('https://host/a.onnx') }],
    ['./folder', { kind: 'path', path: './folder' }],
    ['C:\\models', { kind: 'path', path: 'C:\\models' }],
    ['hf-models/bert', { kind: 'path', path: 'hf-models/bert' }],
  ])('%s is understood', (text, expected) => {
    expect(parseSource(text)).toEqual(expected)
  })

  it.each([
    'hf:',
    'hf:name',
    'hf:a/b/c',
    'hf:../b',
    'hf:a/..',
    'hf:a/b@',
    'hf:a/b@x/../y',
    'hf:a/b?x',
    's3://b/c',
    'https://',
  ])('%s is refused', (text) => {
    expect(() => parseSource(text)).toThrow(expect.objectContaining({ code: 'SOURCE_NOT_UNDERSTOOD' }))
  })
})

describe('a hub source', () => {
  it('resolves a branch once and reads that commit, wherever the branch moves meanwhile', async () => {
    const { label, files } = await source().open()
    const before = hub.commit
    hub.moveBranch()
    expect(await textOf(files.find(({ path }) => path === 'onnx/model.onnx'))).toBe('fp32 graph')
    expect(label).toBe(`hf:test/both@${before}`)
    const asked = hub.requests.map(({ path }) => path)
    expect(asked.filter((path) => path.includes('/revision/'))).toEqual(['/api/models/test/both/revision/main'])
    expect(asked.filter((path) => path.includes('main'))).toHaveLength(1)
    expect(asked.at(-1)).toBe(`/test/both/resolve/${before}/onnx/model.onnx`)
  })

  it('takes a commit as it is', async () => {
    const { label } = await source('test/both', hub.commit).open()
    expect(label).toBe(`hf:test/both@${hub.commit}`)
    expect(hub.requests.some(({ path }) => path.includes('/revision/'))).toBe(false)
  })

  it('knows of each file its size, its origin and, from large-file storage, its digest', async () => {
    const { files } = await source().open()
    const origin = (path: string) => ({ repository: 'test/both', revision: hub.commit, path })
    expect(files.find(({ path }) => path === 'onnx/model.onnx')).toMatchObject({
      sizeBytes: 10,
      digest: `sha256:${createHash('sha256').update('fp32 graph').digest('hex')}`,
      origin: origin('onnx/model.onnx'),
    })
    const config = files.find(({ path }) => path === 'config.json')!
    expect(config).toMatchObject({ sizeBytes: 2, origin: origin('config.json') })
    expect(config).not.toHaveProperty('digest')
  })

  it('never lists a path that leaves the model', async () => {
    expect((await source().open()).files.map(({ path }) => path)).not.toContain('../escape.json')
  })

  it('that is not there, or has no such revision, says so', async () => {
    await expect(source('test/none').open()).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
    await expect(source('test/both', 'gone').open()).rejects.toThrow('no model test/both, or no such revision')
  })

  it('that is private asks for a token, and shows none', async () => {
    hub.faults.token = 'right'
    await expect(source().open()).rejects.toThrow('put a token in GLIM_HUB_TOKEN')
    const refused = source('test/both', 'main', 'wrong-token').open()
    await expect(refused).rejects.toThrow('may not read it')
    await expect(refused).rejects.not.toThrow('wrong-token')
    expect((await source('test/both', 'main', 'right').open()).files.length).toBeGreaterThan(0)
  })

  it('sends its token to the hub and never to where the hub redirects', async () => {
    hub.faults.token = 'secret'
    hub.faults.redirectTo = elsewhere.url
    const { files } = await source('test/both', 'main', 'secret').open()
    expect(await textOf(files.find(({ path }) => path === 'onnx/model.onnx'))).toBe('fp32 graph')
    expect(new Set(hub.requests.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer secret']))
    expect(elsewhere.requests.map(({ authorization }) => authorization)).toEqual([undefined])
  })

  it('follows no redirect away from TLS, and does not try it again', async () => {
    hub.faults.redirectTo = 'http://192.0.2.1'
    const { files } = await source().open()
    await expect(textOf(files[0])).rejects.toMatchObject({ code: 'INSECURE_URL' })
    expect(hub.requests).toHaveLength(3)
  })

  it('must be https, or on this machine', async () => {
    const at = (url: string) => hubSource({ hub: { url }, repository: 'a/b', revision: 'main', ...patience }).open()
    await expect(at('http://hub.example')).rejects.toMatchObject({ code: 'INSECURE_URL' })
    await expect(at('not a url')).rejects.toThrow('GLIM_HUB_URL')
    await expect(at('https://user:pass@hub.example')).rejects.toMatchObject({ code: 'SOURCE_NOT_UNDERSTOOD' })
  })
})

describe('the graph of a hub source', () => {
  const chosen = async (repository: string, choice = {}) =>
    (await planImport(await source(repository).open(), choice)).graph

  it('is q8 where there is one, else fp32', async () => {
    expect(await chosen('test/both')).toBe('onnx/model_quantized.onnx')
    expect(await chosen('test/plain')).toBe('onnx/model.onnx')
  })

  it('is what --dtype or --file says', async () => {
    expect(await chosen('test/both', { dtype: 'fp32' })).toBe('onnx/model.onnx')
    expect(await chosen('test/both', { file: 'onnx/model.onnx' })).toBe('onnx/model.onnx')
  })

  it('of a dtype that is not there is refused with those that are', async () => {
    await expect(chosen('test/both', { dtype: 'q4' })).rejects.toThrow(
      'no graph is named for q4 (onnx/model_q4.onnx); there is onnx/model.onnx, onnx/model_quantized.onnx',
    )
  })

  it('is left to the server with its weights where that is asked for, and nothing else is', async () => {
    const { files } = await planImport(await source().open(), { dtype: 'fp32', lazy: true })
    expect(files.map(({ path, isLazy = false }) => [path, isLazy])).toEqual([
      ['config.json', false],
      ['onnx/model.onnx', true],
      ['onnx/model.onnx_data', true],
    ])
  })

  it('that should have another digest than the hub lists is refused before it is read', async () => {
    const digest = `sha256:${'1'.repeat(64)}` as const
    await expect(chosen('test/plain', { digest })).rejects.toThrow(`onnx/model.onnx should be ${digest} and is sha256:`)
    expect(hub.files.size).toBe(0)
  })
})

describe('a URL', () => {
  const at = (path: string, hasDigest = true) => urlSource({ url: new URL(path, hub.url), hasDigest, ...patience })
  const path = () => `/test/plain/resolve/${hub.commit}/onnx/model.onnx`

  it.each([{}, { noRange: true }])('of a server with %j leads to one file', async (faults) => {
    hub.faults = faults
    const { files, label, graph, pinsWhatComes } = await at(`${path()}?signature=secret`).open()
    expect(files.map(({ path, sizeBytes }) => [path, sizeBytes])).toEqual([['model.onnx', 10]])
    expect([label, graph, pinsWhatComes]).toEqual([`${hub.url}${path()}`, 'model.onnx', undefined])
    expect(await textOf(files[0])).toBe('fp32 graph')
  })

  it('without a digest pins what comes', async () => {
    expect((await at(path(), false).open()).pinsWhatComes).toBe(true)
  })

  it('that leads nowhere, or to no graph, is refused', async () => {
    await expect(at('/test/plain/resolve/main/none.onnx').open()).rejects.toMatchObject({ status: 404 })
    await expect(at('/model.bin').open()).rejects.toThrow('one .onnx file')
    await expect(at('http://example.com/model.onnx').open()).rejects.toMatchObject({ code: 'INSECURE_URL' })
  })

  it('cannot be lazy', async () => {
    await expect(planImport(await at(path()).open(), { lazy: true })).rejects.toThrow('--prefetch is for hf:')
  })
})
