import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ImportPlan, planImport } from '#src/cli/plan-import.ts'

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
    const plan = await planImport(source)
    expect(plan.graph).toBe('onnx/model.onnx')
    expect(sent(plan)).toEqual([
      '1_Pooling/config.json',
      'config.json',
      'onnx/model.onnx',
      'onnx/model.onnx_data',
      'tokenizer.json',
    ])
    expect(plan.totalBytes).toBe(sent(plan).join('').length)
    expect((await planImport(source, { dtype: 'q8' })).graph).toBe('onnx/model_quantized.onnx')
    expect((await planImport(source, { file: 'onnx/model_quantized.onnx' })).graph).toBe('onnx/model_quantized.onnx')
  })

  it('of links, as the cache of the hub has, is read through them', async () => {
    const blobs = await modelFolder('blobs', ['abc', 'def'])
    const source = await modelFolder('snapshot', ['README.md'])
    await symlink(join(blobs, 'abc'), join(source, 'model.onnx'))
    await symlink(join(blobs, 'def'), join(source, 'config.json'))
    await symlink(source, join(source, 'loop'))
    expect((await planImport(source)).files.map(({ path, sizeBytes }) => [path, sizeBytes])).toEqual([
      ['model.onnx', 3],
      ['config.json', 3],
    ])
  })

  it('without a single graph is refused with the graphs there are', async () => {
    const source = await modelFolder('two', ['a.onnx', 'b.onnx'])
    await expect(planImport(source)).rejects.toThrow('there is a.onnx, b.onnx')
    await expect(planImport(await modelFolder('none', ['a.txt']))).rejects.toThrow('no .onnx file')
  })
})

describe('an .onnx file', () => {
  it('brings its external data and not its neighbours', async () => {
    const source = await modelFolder('single', ['net.onnx', 'net.onnx_data', 'other.onnx', 'config.json'])
    expect(sent(await planImport(join(source, 'net.onnx')))).toEqual(['net.onnx', 'net.onnx_data'])
  })

  it('that is none, or is not there, is refused', async () => {
    const source = await modelFolder('odd', ['net.pt'])
    await expect(planImport(join(source, 'net.pt'))).rejects.toThrow('neither a folder nor an .onnx file')
    await expect(planImport(join(source, 'net.onnx'))).rejects.toThrow('There is no file or folder')
  })
})
