/** The starter models, imported and served as a first start does it, give the outputs that their golden files hold. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { greyPng } from '../support/grey-png.ts'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const models = fileURLToPath(new URL('../../models/', import.meta.url))
const names = readdirSync(models).filter((name) => existsSync(join(models, name, 'golden.json')))

interface GoldenCase {
  text?: string
  prompt?: string
  /** Likeliest tokens after the prompt. */
  ids?: number[]
  image?: string
  pixelsBase64?: string
  label?: string
  score?: number
  /** First values of a unit vector, and the length of what was normalised. */
  vector?: number[]
  norm?: number
}

interface Golden {
  tolerance: number
  cases: GoldenCase[]
}

const golden = (name: string): Golden => JSON.parse(readFileSync(join(models, name, 'golden.json'), 'utf8')) as Golden
describe('the starter models in isolates', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
    for (const name of names) {
      const imported = await importFolder(server, join(models, name), name)
      expect(imported.status, imported.text).toBe(200)
      await createEndpoint(server, name, name)
    }
  })
  afterAll(() => server.stop())

  it.each(names.flatMap((name) => golden(name).cases.map((one, index) => ({ name, index, one }))))(
    '$name answers golden case $index',
    async ({ name, one }) => {
      if (one.ids) return expectText(name, one)
      const reply = await server.send('POST', `/serving-endpoints/${name}/invocations`, {
        inputs: [inputOf(name, one)],
      })
      expect(reply.status, reply.text).toBe(200)
      const [prediction] = reply.json.predictions
      const { tolerance } = golden(name)
      if (one.vector) {
        for (const [at, value] of one.vector.entries())
          expect(Math.abs(prediction[at] - value)).toBeLessThanOrEqual(tolerance)
      } else {
        expect(prediction[0].label).toBe(one.label)
        expect(Math.abs(prediction[0].score - one.score!)).toBeLessThanOrEqual(tolerance)
      }
    },
  )

  it.each([
    ['embed', true],
    ['intent', false],
  ])('%s is measured at import: that its rows may share runs is %s', async (name, invariant) => {
    const { json } = await server.send('GET', `/api/2.0/glim/models/${name}/versions/1`)
    expect(json.capabilities).toEqual({
      max_tokens: expect.any(Number),
      max_batch: invariant ? 32 : 1,
      batch_invariant: invariant,
      devices: ['wasm'],
      memory_bytes: expect.any(Number),
    })
  })

  it('embed says what it takes, and gives in shared runs the bits that each row has alone', async () => {
    const embed = async (text: string) => {
      const reply = await server.send('POST', '/serving-endpoints/embed/invocations', { inputs: [text] })
      expect(reply.status, reply.text).toBe(200)
      return JSON.stringify(reply.json.predictions)
    }
    await embed('one')
    const { json } = await server.send('GET', '/api/2.0/serving-endpoints/embed')
    expect(json.state_summary).toMatch(
      /^Ready on config version 1 \(embed-1: warm, \d+\.\d MiB of engine memory with 6\.5 MiB of weights\)\.$/,
    )
    const words = 'my card was stolen please help me now'.split(' ')
    const texts = Array.from({ length: 40 }, (_, index) => words.slice(index % 8).join(' '))
    const together = await Promise.all(texts.map(embed))
    for (const [index, text] of texts.slice(0, 8).entries()) {
      const alone = await embed(text)
      for (let at = index; at < texts.length; at += 8) expect(together[at]).toBe(alone)
    }
  })

  /** The text of the likeliest tokens, and that of the same request in a batch of others. */
  async function expectText(model: string, { prompt, ids, text }: GoldenCase): Promise<void> {
    const completion = (begin: string) =>
      server.send('POST', '/v1/completions', { model, prompt: begin, max_tokens: ids!.length, temperature: 0 })
    const [reply, ...others] = await Promise.all([prompt!, 'A', 'The sea was'].map(completion))
    for (const other of others) expect(other.status, other.text).toBe(200)
    expect(reply!.json?.choices[0], reply!.text).toMatchObject({ finish_reason: 'length' })
    expect(prompt + reply!.json.choices[0].text).toBe(text)
    expect(reply!.json.usage.completion_tokens).toBe(ids!.length)
  }
})

function inputOf(name: string, { text, image, pixelsBase64 }: GoldenCase): string {
  if (text !== undefined) return text
  if (image !== undefined) return readFileSync(join(models, name, image)).toString('base64')
  return greyPng(Buffer.from(pixelsBase64!, 'base64'), 28, 28).toString('base64')
}
