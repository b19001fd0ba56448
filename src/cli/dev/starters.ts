/**
 * The starter endpoints: every folder of `models/` with a card and a graph, served under its own name.
 *
 * The server remembers which were ever installed, so one that somebody deleted stays away and one that a later release brings
 * is added. The list is written once, at the end: a first start that dies half-way is simply done again, each step finding
 * its own traces.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isServingError } from '#contracts/errors.ts'
import { isTask, type Task } from '#contracts/task.ts'
import type { GlimClient } from '#src/client/client.ts'
import { pathSource } from '#src/client/sources/path-source.ts'
import { deployed } from '../deployment.ts'
import { configFrom } from '../endpoint-config.ts'
import { failureFrom } from '../failure.ts'
import { importModel } from '../import-model.ts'
import type { Terminal } from '../terminal.ts'

export interface StarterOptions {
  client: GlimClient
  /** The folder that holds the starters' folders. */
  models: string
  terminal: Pick<Terminal, 'note' | 'progress'>
}

/** Every starter is the only version that its release has. */
const version = '1'

export async function installStarters(options: StarterOptions): Promise<void> {
  const { client, models, terminal } = options
  const installed = await client.starters()
  const missing = (await starterFolders(models)).filter((name) => !installed?.includes(name))
  const added: string[] = []
  const comingUp: string[] = []
  /** One that fails must not take the server with it. It is tried again at the next start. */
  const attempt = async (name: string, work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      terminal.note(`The starter ${name} is not installed: ${failureFrom(error).message}`)
    }
  }
  for (const name of missing) {
    terminal.progress(`Installing the starter ${name} …`)
    await attempt(name, async () => {
      const isOurs = await install(name, options)
      if (isOurs) comingUp.push(name)
      else added.push(name)
    })
  }
  // Each comes up while the next one is sent.
  for (const name of comingUp) {
    await attempt(name, async () => {
      await deployed(name, { client, everyMs: 20 })
      added.push(name)
    })
  }
  terminal.progress(null)
  if (installed === null || added.length > 0) await client.setStarters([...(installed ?? []), ...added])
}

/** Names of the folders that hold the card of a task that is served, and a graph; code beside them has neither. */
export async function starterFolders(models: string): Promise<string[]> {
  const entries = await readdir(models, { withFileTypes: true }).catch(() => [])
  const names: string[] = []
  for (const entry of entries) {
    if (entry.isDirectory() && (await isStarter(join(models, entry.name)))) names.push(entry.name)
  }
  return names.sort()
}

async function isStarter(folder: string): Promise<boolean> {
  if ((await taskOfCard(folder)) === undefined) return false
  const files = [...(await readdir(folder)), ...(await readdir(join(folder, 'onnx')).catch(() => []))]
  return files.some((file) => file.endsWith('.onnx') || file.endsWith('.ort'))
}

/** The task by the hub's name for it in the card's header. */
async function taskOfCard(folder: string): Promise<Task | undefined> {
  const card = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '')
  const tag = /^pipeline_tag: *(\S+)$/m.exec(card)?.[1]
  return tag === 'sentence-similarity' ? 'feature-extraction' : isTask(tag) ? tag : undefined
}

/** Resolves once the endpoint exists, which comes up by itself; to false where its name is somebody else's model. */
async function install(name: string, { client, models, terminal }: StarterOptions): Promise<boolean> {
  try {
    const task = await taskOfCard(join(models, name))
    await importModel(pathSource(join(models, name), `starter ${name}`), { client, name, version, task })
  } catch (error) {
    if (!hasCode(error, 'RESOURCE_ALREADY_EXISTS')) throw error
    terminal.note(`There is another model ${name}, so the starter of that name stays away.`)
    return false
  }
  const config = configFrom({ models: [`${name}/${version}`], traffic: undefined, scaleToZero: true })
  try {
    await client.createEndpoint(name, config)
  } catch (error) {
    // From a start that died after this step, or somebody's own.
    if (!hasCode(error, 'RESOURCE_ALREADY_EXISTS')) throw error
  }
  return true
}

function hasCode(error: unknown, code: string): boolean {
  return isServingError(error) && error.code === code
}
