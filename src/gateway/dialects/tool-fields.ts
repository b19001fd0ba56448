/** Tools and the choice among them, checked once for all dialects. */
import * as z from 'zod'
import { invalidParameter } from '#contracts/errors.ts'
import type { Tool, ToolChoice } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { checkSize } from './constraint-fields.ts'

export const toolNameField = z
  .string()
  .regex(/^[\w.:-]{1,128}$/, 'expected a name of at most 128 letters, digits, "_", "-", "." and ":"')

/** A tool that names no parameters takes none, as OpenAI has it. */
const noParameters = { type: 'object', properties: {}, additionalProperties: false } as const

/** A JSON Schema of an object, or nothing for no arguments. */
export const parametersField = z.record(z.string(), z.unknown()).nullish()

export interface GivenTool {
  name: string
  description?: string | null | undefined
  parameters?: Record<string, unknown> | null | undefined
}

/** @param path where a tool's name lies, such as `tools[0].function`. @throws {ServingError} 400 for names that came twice. */
export function toolsOf(given: readonly GivenTool[], path: (index: number) => string): Tool[] {
  if (given.length > limits.tools)
    throw invalidParameter('tools', `${given.length} tools are more than the ${limits.tools} allowed`)
  return given.map(({ name, description, parameters }, index) => {
    if (given.findIndex((other) => other.name === name) < index)
      throw invalidParameter(`${path(index)}.name`, `the tool "${name}" came twice`)
    if (parameters) checkSize(parameters, path(index))
    return { name, ...(description ? { description } : {}), parameters: parameters ?? noParameters }
  })
}

export interface ToolSelection {
  tools: readonly Tool[]
  toolChoice: ToolChoice
}

/** What a dialect's `tool_choice` comes down to. */
export type GivenChoice =
  | 'none'
  | 'auto'
  | 'required'
  | { name: string }
  | { mode: 'auto' | 'required'; only: string[] }

/** @throws {ServingError} 400 where the choice is of a tool that is not there. */
export function selectTools(tools: readonly Tool[], choice: GivenChoice | undefined): ToolSelection {
  if (choice === undefined) return { tools, toolChoice: tools.length > 0 ? 'auto' : 'none' }
  if (choice === 'none' || choice === 'auto') return { tools, toolChoice: tools.length > 0 ? choice : 'none' }
  const names = tools.map((tool) => tool.name)
  if (choice === 'required') {
    if (names.length === 0) throw invalidParameter('tool_choice', 'a call is required, but there are no tools')
    return { tools, toolChoice: choice }
  }
  const wanted = 'only' in choice ? choice.only : [choice.name]
  const missing = wanted.find((name) => !names.includes(name))
  if (missing !== undefined || wanted.length === 0)
    throw invalidParameter('tool_choice', `there is no tool "${missing}" (there are ${names.join(', ') || 'none'})`)
  if ('name' in choice) return { tools, toolChoice: choice }
  return { tools: tools.filter(({ name }) => wanted.includes(name)), toolChoice: choice.mode }
}
