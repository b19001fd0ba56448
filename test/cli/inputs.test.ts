import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configFrom } from '#src/cli/endpoint-config.ts'
import { invocationBody } from '#src/cli/invocation-body.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glim-inputs-'))
})
afterAll(() => rm(folder, { recursive: true }))

const bodyOf = (argument: string, stdin = '') =>
  invocationBody(argument, { locate: (path) => join(folder, path), readStdin: async () => stdin })

describe('the input of invoke', () => {
  it('is sent as it was typed, large numbers and all', async () => {
    const text = '{"inputs": {"id": [9007199254740993]}}'
    expect(await bodyOf(text)).toEqual({ body: text, contentType: 'application/json' })
    expect((await bodyOf('[9007199254740993]')).body).toBe('{"inputs":[9007199254740993]}')
  })

  it('is wrapped as inputs where it is a bare text or list', async () => {
    expect((await bodyOf('"hi"')).body).toBe('{"inputs":["hi"]}')
    expect((await bodyOf('-', '["a","b"]')).body).toBe('{"inputs":["a","b"]}')
  })

  it('is read from a file by what it is', async () => {
    await writeFile(join(folder, 'a.PNG'), Uint8Array.of(1, 2, 3))
    await writeFile(join(folder, 'a.csv'), 'text\nhi\n')
    await writeFile(join(folder, 'a.txt'), '{"inputs":["a"]}')
    expect((await bodyOf('@a.PNG')).body).toBe('{"inputs":{"image":["AQID"]}}')
    expect(await bodyOf('@a.csv')).toEqual({ body: Buffer.from('text\nhi\n'), contentType: 'text/csv' })
    expect((await bodyOf('@a.txt')).body).toBe('{"inputs":["a"]}')
    await expect(bodyOf('@b.json')).rejects.toThrow(`There is no file ${join(folder, 'b.json')}.`)
  })

  it('that is no JSON is refused with the way to write a text', async () => {
    await expect(bodyOf('Where is my card?')).rejects.toThrow(`For a text, quote it twice: '"Where is my card?"'`)
    await expect(bodyOf('{"inputs": [}')).rejects.not.toThrow('quote it twice')
    await expect(bodyOf('-', 'nothing')).rejects.toThrow('What standard input holds is not JSON')
  })
})

describe('the configuration of an endpoint', () => {
  it('takes versions, aliases and the prefix of references', () => {
    const models = ['intent/2', 'glim:cat.sch.intent/1', 'intent@champion']
    expect(configFrom({ models, traffic: undefined, scaleToZero: false }).served_entities).toEqual([
      { entity_name: 'intent', entity_version: '2', scale_to_zero_enabled: false },
      { entity_name: 'cat.sch.intent', entity_version: '1', scale_to_zero_enabled: false },
      { entity_name: 'intent@champion', scale_to_zero_enabled: false },
    ])
  })

  it('takes a split by models or by the names of served entities', () => {
    const { traffic_config } = configFrom({ models: [], traffic: 'cat.sch.intent/1=90, other=10', scaleToZero: true })
    expect(traffic_config?.routes).toEqual([
      { served_entity_name: 'intent-1', traffic_percentage: 90 },
      { served_entity_name: 'other', traffic_percentage: 10 },
    ])
  })

  it.each(['intent', 'intent/', '/1', 'a@b@c', ''])('refuses the model reference "%s"', (model) => {
    expect(() => configFrom({ models: [model], traffic: undefined, scaleToZero: true })).toThrow(
      'NAME/VERSION or NAME@ALIAS',
    )
  })

  it.each(['a', 'a=', 'a=x', 'a=1000', ''])('refuses the split "%s"', (traffic) => {
    expect(() => configFrom({ models: [], traffic, scaleToZero: true })).toThrow('ENTITY=PERCENT')
  })
})
