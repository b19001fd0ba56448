/** Reading a request's named values and a task's options, with errors that lead with the field's path. */
import { invalidParameter } from '#contracts/errors.ts'

export type Params = Readonly<Record<string, unknown>>

/** An integer within bounds, or undefined where it is absent or null. */
export function integerParam(params: Params, name: string, minimum: number, maximum: number): number | undefined {
  const value = params[name]
  if (value === undefined || value === null) return undefined
  if (!Number.isInteger(value) || (value as number) < minimum || (value as number) > maximum) {
    throw invalidParameter(name, `${JSON.stringify(value)} is no integer between ${minimum} and ${maximum}`)
  }
  return value as number
}

/** One of the given words, or undefined where it is absent or null. */
export function choiceParam<T extends string>(params: Params, name: string, choices: readonly T[]): T | undefined {
  const value = params[name]
  if (value === undefined || value === null) return undefined
  const choice = choices.find((candidate) => candidate === value)
  if (choice === undefined) throw invalidParameter(name, `${JSON.stringify(value)} is none of ${choices.join(', ')}`)
  return choice
}

/** A truth value, or undefined where it is absent or null. */
export function booleanParam(params: Params, name: string): boolean | undefined {
  const value = params[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'boolean') throw invalidParameter(name, `${JSON.stringify(value)} is neither true nor false`)
  return value
}

/** A number within bounds, or undefined where it is absent or null. */
export function numberParam(params: Params, name: string, minimum: number, maximum: number): number | undefined {
  const value = params[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number' || !(value >= minimum && value <= maximum)) {
    throw invalidParameter(name, `${JSON.stringify(value)} is no number between ${minimum} and ${maximum}`)
  }
  return value
}

/** A text, or undefined where it is absent or null. */
export function textParam(params: Params, name: string): string | undefined {
  const value = params[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw invalidParameter(name, `${JSON.stringify(value)} is no text`)
  return value
}
