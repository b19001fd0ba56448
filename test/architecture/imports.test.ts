/** Holds the picture of `docs/architecture.md`: four floors, two columns, no cycles, and who may read the environment. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { buildWorkers } from '#src/cli/build-workers.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Each line is one floor of the building; a file may import from its own folder or from a floor below. */
const floors: readonly (readonly string[])[] = [
  ['src/contracts'],
  ['src/engine', 'model-cache', 'src/registry', 'src/policies', 'src/usage'],
  ['src/gateway', 'src/compiler', 'src/client'],
  ['workers/dispatcher', 'workers/host', 'workers/endpoint', 'src/cli'],
]

const files = floors.flat().flatMap(sourceFiles)

describe('imports', () => {
  it('point down the building or stay in their folder', () => {
    const climbing = importsOf(files).filter(
      ({ from, to }) => part(from) !== part(to) && floorOf(part(to)) >= floorOf(part(from)),
    )
    expect(climbing.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })

  it('form no cycle', () => {
    expect(firstCycle(importsOf(files))).toEqual([])
  })

  it('reach only files of a known floor', () => {
    const homeless = importsOf(files).filter(({ to }) => floorOf(part(to)) < 0)
    expect(homeless.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })

  it('leave the environment to workers and the command line', () => {
    const readers = files.filter((file) => /\bprocess\.|cloudflare:workers|['"]node:/.test(codeOf(file)))
    const allowed =
      /^(workers\/|src\/cli\/|src\/client\/|src\/registry\/stores\/node\.ts|model-cache\/stores\/directory\.ts)/
    expect(readers.filter((file) => !allowed.test(file))).toEqual([])
  })
})

describe('bundles', async () => {
  const { inputs } = await buildWorkers()
  const inputsOf = (name: string) => inputs[name]!

  it('of the dispatcher hold no engine and no ONNX Runtime', () => {
    expect(
      inputsOf('dispatcher').filter((input) => /src\/engine|onnxruntime|workers\/(host|endpoint)/.test(input)),
    ).toEqual([])
  })

  it.each(Object.keys(inputs).filter((name) => name !== 'dispatcher'))(
    'of %s hold nothing of the control column',
    (name) => {
      const control = /src\/(gateway|registry|policies|providers|usage)|workers\/dispatcher/
      expect(inputsOf(name).filter((input) => control.test(input))).toEqual([])
    },
  )

  it.each(['tensor', 'image-classification'])('of the task %s hold no tokenizer', (name) => {
    expect(inputsOf(name).filter((input) => input.includes('tokenizers'))).toEqual([])
  })
})

interface Import {
  from: string
  to: string
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
}

function importsOf(sources: readonly string[]): Import[] {
  return sources.flatMap((from) =>
    [...readFileSync(join(root, from), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+\.ts)'/g)].map(
      ([, specifier]) => ({
        from,
        to: resolved(specifier!, from),
      }),
    ),
  )
}

function resolved(specifier: string, from: string): string {
  if (specifier.startsWith('#contracts/')) return specifier.replace('#contracts/', 'src/contracts/')
  if (specifier.startsWith('#model-cache/')) return specifier.replace('#model-cache/', 'model-cache/')
  if (specifier.startsWith('#src/')) return specifier.replace('#src/', 'src/')
  return normalize(join(dirname(from), specifier))
}

function part(file: string): string {
  return floors.flat().find((folder) => file.startsWith(`${folder}/`)) ?? file
}

function floorOf(folder: string): number {
  return floors.findIndex((floor) => floor.includes(folder))
}

function codeOf(file: string): string {
  return readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
}

/** The files of one cycle, or none: depth first, on the value and type imports alike. */
function firstCycle(imports: readonly Import[]): string[] {
  const targets = Map.groupBy(imports, ({ from }) => from)
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return []
    for (const { to } of targets.get(file) ?? []) {
      const cycle = walk(to, [...path, file])
      if (cycle.length > 0) return cycle
    }
    done.add(file)
    return []
  }
  for (const file of targets.keys()) {
    const cycle = walk(file, [])
    if (cycle.length > 0) return cycle
  }
  return []
}
