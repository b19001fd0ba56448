/** `glim models import` */
import { readFile } from 'node:fs/promises'
import { type Digest, digestSchema } from '#contracts/manifest.ts'
import { type Command, defineCommand } from '../command.ts'
import { usage } from '../failure.ts'
import { type Imported, type ImportProgress, importModel } from '../import-model.ts'
import { modelSource } from '../model-source.ts'
import { sizeText } from '../table.ts'
import { bar } from '../terminal.ts'
import { versionText } from '../version-text.ts'

export const importCommand: Command = defineCommand({
  name: 'models import',
  summary: 'register a model from this machine, a hub or a URL',
  details:
    'The graph of a folder is onnx/model.onnx (or the name of --dtype), then model.onnx, then the only .onnx there is. Of a hub\n' +
    'it is the q8 one (onnx/model_quantized.onnx) where there is one. The folder of an MLflow model needs the ONNX flavour.\n' +
    'Only the graph and what belongs beside it (tokenizer, configuration, external data) is sent, and of that only what the\n' +
    'server lacks, so an interrupted import continues when it is run again. The version is registered once it has answered.\n\n' +
    'hf: sources come from GLIM_HUB_URL (https://huggingface.co), with the token in GLIM_HUB_TOKEN if there is one. A branch is\n' +
    'resolved to its commit, which the version keeps. The server fetches the weights itself, from the hub that it was started\n' +
    'with: on first use, or at once with --prefetch. With --upload this command downloads and sends everything.\n\n' +
    'A graph that is sent is converted here first: to the format of ONNX Runtime, whose weights take their own size of memory\n' +
    'and a fraction of the time to load, where its answers are the same to the last bit; and with --dtype q8, where the source\n' +
    'has no such graph, to int8 weights. int8 is refused where the answers to sample inputs drift: a cosine under 0.99, or\n' +
    'another choice in more than 2 % of clear cases. What was done stands in the comment of the version.',
  arguments: [
    {
      name: 'SOURCE',
      help: 'a folder, an .onnx file, hf:OWNER/NAME[@REVISION], or the https URL of an .onnx file',
    },
  ],
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
    digest: { type: 'string', value: 'sha256:HEX', help: 'what the graph must be; anything else is refused' },
    example: { type: 'string', value: 'FILE', help: 'JSON file with an invocation that the model answers' },
    prefetch: { type: 'boolean', help: 'hf: only: the server fetches the weights and runs the model at once' },
    quantize: {
      type: 'string',
      value: 'HOW',
      help: 'auto (where --dtype q8 finds no q8 graph), int8, force (int8 however far the answers drift) or none',
    },
    optimize: {
      type: 'string',
      value: 'WHEN',
      help: 'auto (graphs of 4 MiB and more, if verified), always or never',
    },
    attention: {
      type: 'string',
      value: 'FORM',
      help: 'keep, or grouped: a decoder appends to its cache in place and takes several texts in a step (no left padding)',
    },
    'keep-original': { type: 'boolean', help: 'send the graph as it came beside the converted one' },
    upload: { type: 'boolean', help: 'hf: only: download the weights here and send them' },
  },
  examples: [
    'glim models import ./my-model --name my-model',
    'glim models import ./my-model --name my-model --dtype q8 --task feature-extraction',
    'glim models import ./my-model --name my-model --quantize int8',
    'glim models import hf:OWNER/NAME@main --name my-model',
    'glim models import https://example.com/model.onnx --name my-model --digest sha256:…',
  ],
  async run({ args, values, client, locate, env, terminal }) {
    const [text] = args as [string]
    const { example, upload, quantize, optimize, attention, 'keep-original': keepOriginal, ...options } = values
    const digest = digestFrom(values.digest)
    const source = modelSource(text, { locate, env, hasDigest: digest !== undefined })
    const imported = await importModel(source, {
      ...options,
      lazy: text.startsWith('hf:') && !upload,
      client: client(),
      digest,
      convert: {
        quantize: oneOf('--quantize', quantize ?? 'auto', ['auto', 'int8', 'force', 'none']),
        optimize: oneOf('--optimize', optimize ?? 'auto', ['auto', 'always', 'never']),
        attention: oneOf('--attention', attention ?? 'keep', ['keep', 'grouped']),
        keepOriginal,
      },
      ...(example === undefined ? {} : { example: await exampleFrom(locate(example)) }),
      onProgress: (progress) => terminal.progress(progressText(progress)),
    })
    terminal.progress(null)
    if (imported.pinned)
      terminal.note(`No --digest was given, so the version is pinned to what came: ${imported.pinned}`)
    return { value: imported.version, text: importedText(imported) }
  },
})

function oneOf<Choice extends string>(option: string, value: string, choices: readonly Choice[]): Choice {
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw usage(`${option} must be one of ${choices.join(', ')}, and "${value}" came.`)
  return found
}

function digestFrom(text: string | undefined): Digest | undefined {
  if (text === undefined) return undefined
  const { success, data } = digestSchema.safeParse(text)
  if (!success) throw usage(`--digest must be sha256: and 64 lower-case hex digits, and "${text}" came.`)
  return data
}

async function exampleFrom(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw usage(`--example ${path} cannot be read as JSON: ${(error as Error).message}.`)
  }
}

const stages = {
  opening: 'Looking at the source …',
  reading: 'Reading the graph …',
  quantizing: 'Quantising the weights …',
  comparing: 'Comparing the answers …',
  optimizing: 'Optimising the graph …',
  loading: 'Loading the model and running its example …',
} as const

function progressText(progress: ImportProgress): string {
  if (progress.stage !== 'sending') return stages[progress.stage]
  const { doneBytes, totalBytes } = progress
  return `Sending ${bar(doneBytes, totalBytes)} ${sizeText(doneBytes)} of ${sizeText(totalBytes)}`
}

function importedText({ version, sentBytes, heapBytes }: Imported): string {
  const { name, version: number } = version
  const plain = name.split('.').at(-1)
  return [
    versionText(version),
    ...(heapBytes
      ? [
          `Loaded it takes ${sizeText(heapBytes.after)} of memory, and ${sizeText(heapBytes.before)} before it was converted.`,
        ]
      : []),
    `Sent ${sizeText(sentBytes)} of ${sizeText(version.size_bytes)}.`,
    `Serve it with: glim endpoints create ${plain} --model ${name}/${number}`,
  ].join('\n')
}
