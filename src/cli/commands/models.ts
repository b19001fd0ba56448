/** `glim models …` */
import { readFile } from 'node:fs/promises'
import type { UploadProgress } from '#src/client/upload-model.ts'
import type { VersionView } from '#src/client/views.ts'
import { type Command, defineCommand } from '../command.ts'
import { Failure, usage } from '../failure.ts'
import { type Imported, importModel } from '../import-model.ts'
import { signatureText } from '../signature-text.ts'
import { sizeText, table, timeText } from '../table.ts'
import { bar } from '../terminal.ts'

const reference = { name: 'NAME[/VERSION]', help: 'a model, or one version of it' }

const importCommand = defineCommand({
  name: 'models import',
  summary: 'register a model from this machine',
  details:
    'The graph of a folder is onnx/model.onnx (or the name of --dtype), then model.onnx, then the only .onnx there is.\n' +
    'Only it and what belongs beside it (tokenizer, configuration, external data) is sent, and of that only what the server\n' +
    'lacks, so an interrupted import continues when it is run again. The version is registered once it has answered.',
  arguments: [{ name: 'SOURCE', help: 'a folder, or an .onnx file' }],
  options: {
    name: {
      type: 'string',
      value: 'NAME',
      required: true,
      help: 'name of the model, of one part or three (catalog.schema.model)',
    },
    version: { type: 'string', value: 'N', help: 'version number; the next one if left out' },
    task: {
      type: 'string',
      value: 'TASK',
      help: 'what it does, such as text-classification, where the files do not say it',
    },
    dtype: {
      type: 'string',
      value: 'DTYPE',
      help: 'which graph by precision: fp32, fp16, q8, int8, uint8, q4, q4f16, bnb4',
    },
    file: { type: 'string', value: 'GRAPH', help: 'which graph by its path within SOURCE' },
    example: { type: 'string', value: 'FILE', help: 'JSON file with an invocation that the model answers' },
  },
  examples: [
    'glim models import ./my-model --name my-model',
    'glim models import ./my-model --name my-model --dtype q8 --task feature-extraction',
  ],
  async run({ args, values, client, locate, terminal }) {
    const [source] = args as [string]
    if (/^(hf|https?):/.test(source))
      throw new Failure(
        2,
        'NOT_IMPLEMENTED',
        `Importing from ${source.split(':')[0]}: is not built yet. Download the model and import its folder.`,
      )
    const { name, version, task, dtype, file, example } = values
    const server = client()
    const imported = await importModel(locate(source), {
      client: server,
      name,
      version,
      task,
      dtype,
      file,
      ...(example === undefined ? {} : { example: await exampleFrom(locate(example)) }),
      onProgress: (progress) => terminal.progress(progressText(progress)),
    })
    terminal.progress(null)
    return { value: imported.version, text: importedText(imported) }
  },
})

const listCommand = defineCommand({
  name: 'models list',
  summary: 'list the registered models',
  arguments: [],
  options: {},
  examples: ['glim models list'],
  async run({ client, terminal }) {
    const models = await client().listModels()
    const rows = models.map(({ name, versions, aliases, last_updated_timestamp }) => [
      name,
      versions.join(' '),
      Object.entries(aliases)
        .map(([alias, version]) => `${alias}=${version}`)
        .join(' ') || '-',
      timeText(last_updated_timestamp),
    ])
    const text =
      rows.length > 0
        ? table(['NAME', 'VERSIONS', 'ALIASES', 'UPDATED'], rows, terminal.bold)
        : 'There are no models. Import one with: glim models import SOURCE --name NAME'
    return { value: { models }, text }
  },
})

const showCommand = defineCommand({
  name: 'models show',
  summary: 'show a model or one version of it',
  arguments: [reference],
  options: {},
  examples: ['glim models show intent', 'glim models show intent/1'],
  async run({ args, client }) {
    const { name, version } = parseReference(args[0]!)
    if (version !== undefined) {
      const found = await client().getVersion(name, version)
      return { value: found, text: versionText(found) }
    }
    const model = await client().getModel(name)
    const aliases = Object.entries(model.aliases).map(([alias, of]) => `${name}@${alias} is version ${of}`)
    return {
      value: model,
      text: [`${name}, by ${model.creator}`, ...aliases, ...model.model_versions.map(versionText)].join('\n\n'),
    }
  },
})

const removeCommand = defineCommand({
  name: 'models remove',
  summary: 'remove a model with all its versions, or one version',
  arguments: [reference],
  options: {},
  examples: ['glim models remove my-model/2'],
  async run({ args, client }) {
    const { name, version } = parseReference(args[0]!)
    if (version === undefined) await client().deleteModel(name)
    else await client().deleteVersion(name, version)
    return {
      value: { removed: args[0] },
      text: `Removed ${version === undefined ? `model ${name}` : `version ${version} of model ${name}`}.`,
    }
  },
})

export const modelCommands: readonly Command[] = [importCommand, listCommand, showCommand, removeCommand]

/** `NAME` or `NAME/VERSION`, with or without `glim:`. */
function parseReference(text: string): { name: string; version: string | undefined } {
  const [, name, version] = /^(?:glim:)?([^/@]+)(?:\/([^/@]+))?$/.exec(text) ?? []
  if (name === undefined) throw usage(`Expected NAME or NAME/VERSION, such as intent/1, and "${text}" came.`)
  return { name, version }
}

async function exampleFrom(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw usage(`--example ${path} cannot be read as JSON: ${(error as Error).message}.`)
  }
}

function progressText(progress: UploadProgress | { stage: 'loading' }): string {
  if (progress.stage === 'loading') return 'Loading the model and running its example …'
  const { stage, doneBytes, totalBytes } = progress
  return `${stage === 'hashing' ? 'Reading' : 'Sending'} ${bar(doneBytes, totalBytes)} ${sizeText(doneBytes)} of ${sizeText(totalBytes)}`
}

function importedText({ version, sentBytes }: Imported): string {
  const { name, version: number } = version
  const plain = name.split('.').at(-1)
  return [
    versionText(version),
    `Sent ${sizeText(sentBytes)} of ${sizeText(version.size_bytes)}.`,
    `Serve it with: glim endpoints create ${plain} --model ${name}/${number}`,
  ].join('\n')
}

function versionText(version: VersionView): string {
  const { name, version: number, task, graph, size_bytes, heap_bytes, signature, source } = version
  return [
    `${name} version ${number}`,
    `  task     ${task}`,
    `  graph    ${graph}`,
    ...signatureText(signature).map((line) => `  ${line}`),
    `  size     ${sizeText(size_bytes)} of files, ${sizeText(heap_bytes)} of memory while warm`,
    ...(source ? [`  source   ${source}`] : []),
  ].join('\n')
}
