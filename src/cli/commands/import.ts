/** `glim models import` */
import { readFile } from 'node:fs/promises'
import type { UploadProgress } from '#src/client/upload-model.ts'
import { type Command, defineCommand } from '../command.ts'
import { Failure, usage } from '../failure.ts'
import { type Imported, importModel } from '../import-model.ts'
import { sizeText } from '../table.ts'
import { bar } from '../terminal.ts'
import { versionText } from '../version-text.ts'

export const importCommand: Command = defineCommand({
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
