import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ImportChoice, type ImportPlan, planImport } from '#src/cli/plan-import.ts'
import { pathSource } from '#src/client/sources/path-source.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glim-plan-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A folder with these files, each holding its own name. */
async function modelFolder(name: string, paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    await mkdir(dirname(join(folder, name, path)), { recursive: true })
    await writeFile(join(folder, name, path), path)
  }
  return join(folder, name)
}

const plan = async (path: string, choice: ImportChoice = {}) => planImport(await pathSource(path).open(), choice)
const sent = ({ files }: ImportPlan) => files.map(({ path }) => path).sort()

describe('a folder', () => {
  it('sends the graph that is chosen, its external data and its companions, and nothing else', async () => {
    const source = await modelFolder('hub', [
      'README.md',
      'config.json',
      'tokenizer.json',
      'model.safetensors',
      'onnx/model.onnx',
      'onnx/model.onnx_data',
      'onnx/model_quantized.onnx',
      '1_Pooling/config.json',
      '.git/config.json',
      'node_modules/x/model.onnx',
    ])
    const chosen = await plan(source)
    expect(chosen.graph).toBe('onnx/model.onnx')
    expect(sent(chosen)).toEqual([
      '1_Pooling/config.json',
      'config.json',
      'onnx/model.onnx',
      'onnx/model.onnx_data',
      'tokenizer.json',
    ])
    expect((await plan(source, { dtype: 'q8' })).graph).toBe('onnx/model_quantized.onnx')
    expect((await plan(source, { file: 'onnx/model_quantized.onnx' })).graph).toBe('onnx/model_quantized.onnx')
  })

  it('of links, as the cache of the hub has, is read through them', async () => {
    await modelFolder('models--o--n/blobs', ['abc', 'def'])
    const source = await modelFolder('models--o--n/snapshots/0123', ['README.md'])
    await mkdir(join(source, 'onnx'))
    await symlink('../../../blobs/abc', join(source, 'onnx/model.onnx'))
    await symlink('../../blobs/def', join(source, 'config.json'))
    await symlink(source, join(source, 'loop'))
    expect((await plan(source)).files.map(({ path, sizeBytes }) => [path, sizeBytes])).toEqual([
      ['config.json', 3],
      ['onnx/model.onnx', 3],
    ])
    expect(sent(await plan(join(source, 'onnx/model.onnx')))).toEqual(['model.onnx'])
  })

  it('with a link to anything outside of it is refused, naming the link and where it leads', async () => {
    const outside = await modelFolder('outside', ['secret.json'])
    const source = await modelFolder('linked', ['model.onnx'])
    await symlink(join(outside, 'secret.json'), join(source, 'config.json'))
    await expect(plan(source)).rejects.toMatchObject({
      code: 'LINK_LEAVES_SOURCE',
      message: expect.stringMatching(/^config\.json is a link to .*outside\/secret\.json, outside/),
    })
    await rm(join(source, 'config.json'))
    await symlink(outside, join(source, 'onnx'))
    await expect(plan(source)).rejects.toMatchObject({ code: 'LINK_LEAVES_SOURCE' })
    await rm(join(source, 'onnx'))
    await symlink('model.onnx', join(source, 'labels.json'))
    expect(sent(await plan(source))).toEqual(['labels.json', 'model.onnx'])
  })

  it('with links into a folder "blobs" that is not of the cache of the hub is refused', async () => {
    await modelFolder('fake/blobs', ['abc'])
    const source = await modelFolder('fake/checkpoints/0123', ['config.json'])
    await symlink('../../blobs/abc', join(source, 'model.onnx'))
    await expect(plan(source)).rejects.toMatchObject({ code: 'LINK_LEAVES_SOURCE' })
  })

  it('without a single graph is refused with the graphs there are', async () => {
    const source = await modelFolder('two', ['a.onnx', 'b.onnx'])
    await expect(plan(source)).rejects.toThrow('there is a.onnx, b.onnx')
    await expect(plan(await modelFolder('none', ['a.txt']))).rejects.toThrow('no .onnx file')
  })
})

describe('an .onnx file', () => {
  it('brings its external data and not its neighbours', async () => {
    const source = await modelFolder('single', ['net.onnx', 'net.onnx_data', 'other.onnx', 'config.json'])
    expect(sent(await plan(join(source, 'net.onnx')))).toEqual(['net.onnx', 'net.onnx_data'])
  })

  it('that is none, or is not there, is refused', async () => {
    const source = await modelFolder('odd', ['net.pt'])
    await expect(plan(join(source, 'net.pt'))).rejects.toThrow('neither a folder nor an .onnx file')
    await expect(plan(join(source, 'net.onnx'))).rejects.toThrow('There is no file or folder')
  })
})
