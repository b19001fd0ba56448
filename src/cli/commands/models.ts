/** `glim models …` */
import { type Command, defineCommand } from '../command.ts'
import { usage } from '../failure.ts'
import { sizeText, table, timeText } from '../table.ts'
import { versionText } from '../version-text.ts'
import { importCommand } from './import.ts'

const reference = { name: 'NAME[/VERSION]', help: 'a model, or one version of it' }

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

const gcCommand = defineCommand({
  name: 'models gc',
  summary: 'delete the stored bytes that no version needs',
  details: 'What was written within the last hour stays, because it may belong to an import that is still under way.',
  arguments: [],
  options: {},
  examples: ['glim models gc'],
  async run({ client }) {
    const collected = await client().collectGarbage()
    const { deleted, freed_bytes, held_bytes } = collected
    return {
      value: collected,
      text: `Deleted ${deleted} blobs, ${sizeText(freed_bytes)}; ${sizeText(held_bytes)} are held.`,
    }
  },
})

export const modelCommands: readonly Command[] = [importCommand, listCommand, showCommand, removeCommand, gcCommand]

/** `NAME` or `NAME/VERSION`, with or without `glim:`. */
function parseReference(text: string): { name: string; version: string | undefined } {
  const [, name, version] = /^(?:glim:)?([^/@]+)(?:\/([^/@]+))?$/.exec(text) ?? []
  if (name === undefined) throw usage(`Expected NAME or NAME/VERSION, such as intent/1, and "${text}" came.`)
  return { name, version }
}
