/**
 * Regular expressions over bytes, with calls of named rules for what repeats or recurs: the common form between what is written
 * (patterns, JSON Schemas, choices) and automata.
 */
import type { ByteSequence } from './code-points.ts'

export type Expression =
  /** Any one of the sequences; none of them: no text at all. */
  | { kind: 'bytes'; sequences: readonly ByteSequence[] }
  | { kind: 'sequence'; parts: readonly Expression[] }
  | { kind: 'either'; options: readonly Expression[] }
  /** `most` null: any number. */
  | { kind: 'repeat'; of: Expression; least: number; most: number | null }
  | { kind: 'rule'; rule: number }

const encoder = new TextEncoder()

export function text(value: string): Expression {
  return { kind: 'bytes', sequences: [[...encoder.encode(value)].map((byte) => [byte, byte] as const)] }
}

/** One byte out of the ranges, for ASCII alphabets such as digits. */
export function oneOf(...ranges: readonly (readonly [from: string, to: string])[]): Expression {
  return { kind: 'bytes', sequences: ranges.map(([from, to]) => [[from.charCodeAt(0), to.charCodeAt(0)] as const]) }
}

export function sequence(...parts: readonly Expression[]): Expression {
  return { kind: 'sequence', parts }
}

export function either(options: readonly Expression[]): Expression {
  return options.length === 1 ? options[0]! : { kind: 'either', options }
}

export function repeat(of: Expression, least: number, most: number | null): Expression {
  return { kind: 'repeat', of, least, most }
}

export function optional(of: Expression): Expression {
  return repeat(of, 0, 1)
}

export function call(rule: number): Expression {
  return { kind: 'rule', rule }
}

export const nothing: Expression = { kind: 'sequence', parts: [] }
/** Fulfilled by no text. */
export const impossible: Expression = { kind: 'bytes', sequences: [] }
