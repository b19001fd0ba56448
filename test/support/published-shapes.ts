/**
 * Whether values have the shapes that OpenAI and Anthropic publish. Their npm clients are generated from the published OpenAPI
 * documents, so the clients' types are those shapes, and the compiler is what reads them: every value becomes a literal that is
 * assigned to its type, in a program that exists in memory only. A literal may have no field that its type lacks.
 */
import { fileURLToPath } from 'node:url'
// The only programming interface of this compiler, which the lock file pins.
import { API } from 'typescript/unstable/sync'

export interface Sample {
  /** What was asked, for messages. */
  what: string
  /** A type, in the words of the client that has it: `OpenAI.Completion`. */
  type: string
  value: unknown
}

/** A difference to the published shape that is meant: what lies at `path` is taken out before the comparison. */
export interface Deviation {
  type: string
  /** Field names with dots between them, `*` for every item of a list. */
  path: string
  why: string
}

export interface Comparison {
  /** Where samples differ from their types, in the compiler's words. */
  misfits: string[]
  /** Deviations that no sample has. */
  unused: Deviation[]
}

// Within the repository, so that the clients are found as any test finds them.
const folder = fileURLToPath(new URL('published-shapes/', import.meta.url))
const [configPath, programPath] = [`${folder}tsconfig.json`, `${folder}samples.ts`]

const config = {
  compilerOptions: {
    target: 'ES2024',
    lib: ['ES2024', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
  },
  files: ['samples.ts'],
}

const imports = [
  `import type OpenAI from 'openai'`,
  `import type Anthropic from '@anthropic-ai/sdk'`,
  `import type { ResponseItemList } from 'openai/resources/responses/input-items'`,
].join('; ')

export function compareWithPublished(samples: readonly Sample[], deviations: readonly Deviation[]): Comparison {
  const unused = new Set(deviations)
  // One line each, in ASCII, so that the compiler's positions are those of the text.
  const lines = samples.map(({ type, value }, index) => {
    const plain = structuredClone(value)
    for (const deviation of deviations)
      if (deviation.type === type && takeOut(plain, deviation.path.split('.'))) unused.delete(deviation)
    return `export const sample${index}: ${type} = ${ascii(JSON.stringify(plain))}`
  })
  const program = [imports, ...lines].join('\n')
  const misfits = new Map<string, string>()
  for (const { pos, text } of problemsOf(program)) {
    const line = program.slice(0, pos).split('\n').length - 1
    const { what, type } = samples[line - 1] ?? { what: 'the program', type: 'none' }
    // Every chunk of a stream has the same.
    misfits.set(`${type}: ${text}`, `near ${program.slice(Math.max(0, pos - 30), pos + 60)} in ${what}`)
  }
  return { misfits: [...misfits].map((parts) => parts.join(', ')), unused: [...unused] }
}

function problemsOf(program: string): { pos: number; text: string }[] {
  const files: Readonly<Record<string, string>> = { [configPath]: JSON.stringify(config), [programPath]: program }
  const api = new API({
    cwd: folder,
    fs: {
      // Undefined: as it is on disk.
      readFile: (path) => files[path],
      fileExists: (path) => (path in files ? true : undefined),
      directoryExists: (path) => (`${path}/` === folder ? true : undefined),
    },
  })
  try {
    const project = api.updateSnapshot({ openProjects: [configPath] }).getProject(configPath)
    if (!project) throw new Error('the compiler has not opened the program')
    const { program: compiled } = project
    const problems = [
      ...compiled.getProgramDiagnostics(),
      ...compiled.getSyntacticDiagnostics(programPath),
      ...compiled.getSemanticDiagnostics(programPath),
    ]
    return problems.map(({ pos, text, messageChain }) => ({ pos, text: [text, ...chained(messageChain)].join(' ') }))
  } finally {
    api.close()
  }
}

interface Chained {
  text: string
  messageChain?: readonly Chained[] | undefined
}

function chained(chain: readonly Chained[] | undefined): string[] {
  return (chain ?? []).flatMap(({ text, messageChain }) => [text, ...chained(messageChain)])
}

/** Returns whether there was anything. */
function takeOut(value: unknown, [field, ...rest]: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null || field === undefined) return false
  if (field === '*') return Array.isArray(value) && value.map((item) => takeOut(item, rest)).includes(true)
  if (!Object.hasOwn(value, field)) return false
  const holder = value as Record<string, unknown>
  return rest.length > 0 ? takeOut(holder[field], rest) : delete holder[field]
}

function ascii(json: string): string {
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
