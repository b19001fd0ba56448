import { describe, expect, it } from 'vitest'
import type { Tool } from '#contracts/generation.ts'
import type { ToolCallPiece } from '#src/engine/constraint/tool-call-types.ts'
import { createToolCallReader, type ToolCallMode, toolCallConstraint } from '#src/engine/constraint/tool-calls.ts'
import { fulfils } from './fulfils.ts'
import { Random } from './random.ts'
import { mixedVocabulary } from './vocabularies.ts'
import { writeText } from './write-text.ts'

const vocabulary = mixedVocabulary(new Random(1), 300)

const weather = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1, maximum: 14 } },
  required: ['city'],
}
const tools: readonly Tool[] = [
  { name: 'get_weather', description: 'Weather of a city', parameters: weather },
  { name: 'say "hello"', parameters: { properties: { loud: { type: 'boolean' } }, required: ['loud'] } },
  { name: 'anything' },
]
const schemas = new Map(tools.map(({ name, parameters }) => [name, parameters ?? { type: 'object' }]))

/** What a reader returns for the pieces, as whole texts and whole calls. */
function read(mode: ToolCallMode, texts: readonly string[]) {
  const reader = createToolCallReader({ mode })
  const pieces: ToolCallPiece[] = [...texts.flatMap((text) => reader.push(text)), ...reader.end()]
  const calls: { name: string; arguments: string }[] = []
  let text = ''
  for (const piece of pieces) {
    if (piece.type === 'text') text += piece.text
    else if (piece.type === 'start') expect(calls.push({ name: piece.name, arguments: '' }) - 1).toBe(piece.call)
    else calls[piece.call]!.arguments += piece.text
  }
  return { text, calls }
}

/** A text cut in two at every place, and into single characters. */
function splits(text: string): string[][] {
  return [...Array.from({ length: text.length + 1 }, (_, at) => [text.slice(0, at), text.slice(at)]), [...text]]
}

describe('toolCallConstraint', () => {
  it('leaves the text free where no call is forced', () => {
    expect(toolCallConstraint(tools, 'none', true, vocabulary)).toBeNull()
    expect(toolCallConstraint(tools, 'auto', true, vocabulary)).toBeNull()
  })

  it('forces one call whose arguments fulfil the schema of its tool', () => {
    const random = new Random(2)
    const compiled = toolCallConstraint(tools, 'required', false, vocabulary)!
    const seen = new Set<string>()
    for (let run = 0; run < 60; run++) {
      const { text } = writeText(compiled, vocabulary, random, compiled.fewestTokens + random.below(60))
      const { name, arguments: given, ...rest } = JSON.parse(text)
      expect(rest).toEqual({})
      expect(fulfils(given, schemas.get(name) as Record<string, unknown>)).toBe(true)
      seen.add(name)
      const { calls } = read('one', [text])
      expect(calls.map((call) => [call.name, JSON.parse(call.arguments)])).toEqual([[name, given]])
    }
    expect(seen.size).toBeGreaterThan(1)
  })

  it('forces one to eight calls where several are possible', () => {
    const random = new Random(3)
    const compiled = toolCallConstraint(tools, 'required', true, vocabulary)!
    const counts = new Set<number>()
    for (let run = 0; run < 40; run++) {
      const { text } = writeText(compiled, vocabulary, random, compiled.fewestTokens + random.below(300))
      const list: { name: string; arguments: unknown }[] = JSON.parse(text)
      counts.add(list.length)
      const { calls } = read('several', [text])
      expect(calls.map((call) => [call.name, JSON.parse(call.arguments)])).toEqual(
        list.map((call) => [call.name, call.arguments]),
      )
    }
    expect(Math.min(...counts)).toBe(1)
    expect(Math.max(...counts)).toBeLessThanOrEqual(8)
    expect(counts.size).toBeGreaterThan(1)
  })

  it('forces calls of one tool by name', () => {
    const compiled = toolCallConstraint(tools, { name: 'say "hello"' }, false, vocabulary)!
    const { text } = writeText(compiled, vocabulary, new Random(4), compiled.fewestTokens)
    expect(text).toMatch(/^\{"name": "say \\"hello\\"", "arguments": \{"loud": (true|false)\}\}$/)
  })

  it('refuses a name that no tool has', () => {
    expect(() => toolCallConstraint(tools, { name: 'none_such' }, false, vocabulary)).toThrow(
      expect.objectContaining({ field: 'tool_choice', message: expect.stringContaining('"none_such"') }),
    )
    expect(() => toolCallConstraint([], 'required', false, vocabulary)).toThrow(/tool_choice/)
  })

  it('refuses parameters that are not supported by their path', () => {
    const bad = [tools[0]!, { name: 'bad', parameters: { properties: { a: { not: {} } } } }]
    expect(() => toolCallConstraint(bad, 'required', false, vocabulary)).toThrow(
      expect.objectContaining({ field: 'tools[1].function.parameters.properties.a.not' }),
    )
    const list = [{ name: 'list', parameters: { type: 'array' } }]
    expect(() => toolCallConstraint(list, 'required', true, vocabulary)).toThrow(
      expect.objectContaining({ field: 'tools[0].function.parameters.type' }),
    )
  })
})

describe('createToolCallReader', () => {
  const first = '{"city": "a \\"b\\" }{ \\\\", "days": 3}'
  const second = '{"loud": true, "list": [{}, "]"]}'

  it('streams the arguments of a forced call at every split', () => {
    const text = `{"name": "get_weather", "arguments": ${first}}`
    for (const texts of splits(text))
      expect(read('one', texts)).toEqual({ text: '', calls: [{ name: 'get_weather', arguments: first }] })
  })

  it('streams the arguments of several forced calls at every split', () => {
    const text = `[{"name": "get_weather", "arguments": ${first}}, {"name": "say \\"hello\\"", "arguments": ${second}}]`
    for (const texts of splits(text)) {
      expect(read('several', texts).calls).toEqual([
        { name: 'get_weather', arguments: first },
        { name: 'say "hello"', arguments: second },
      ])
    }
  })

  it('returns arguments as they come, not when they end', () => {
    const reader = createToolCallReader({ mode: 'one' })
    expect(reader.push('{"name": "a", "arguments": {"x')).toEqual([
      { type: 'start', call: 0, name: 'a' },
      { type: 'arguments', call: 0, text: '{"x' },
    ])
    expect(reader.push('": 1}')).toEqual([{ type: 'arguments', call: 0, text: '": 1}' }])
    expect(reader.push('}')).toEqual([])
  })

  it('finds tagged calls in free text at every split', () => {
    const call = (name: string, given: string) =>
      `<tool_call>\n{"name": "${name}", "arguments": ${given}}\n</tool_call>`
    const text = `Let me <see>.\n${call('get_weather', '{"city":"Köln"}')}\n${call('b', '{}')}\n`
    for (const texts of splits(text)) {
      expect(read('auto', texts)).toEqual({
        text: 'Let me <see>.\n',
        calls: [
          { name: 'get_weather', arguments: '{"city":"Köln"}' },
          { name: 'b', arguments: '{}' },
        ],
      })
    }
  })

  it.each([
    ['plain text < with > signs'],
    ['<tool_call>not JSON</tool_call> after'],
    ['<tool_call>{"name": "a"}</tool_call>'],
    ['<tool_call>{"name": 3, "arguments": {}}</tool_call>'],
    ['<tool_call>{"name": "a", "arguments": "text"}</tool_call>'],
    ['<tool_call>{"name": "a", "argu'],
    ['text <tool_cal'],
    ['</tool_call> <tool_call'],
  ])('leaves %s as it is at every split', (text) => {
    for (const texts of splits(text)) expect(read('auto', texts)).toEqual({ text, calls: [] })
  })

  it('takes a last call whose tag was not closed', () => {
    for (const texts of splits('<tool_call>{"name": "a", "arguments": {"b": 1}}'))
      expect(read('auto', texts)).toEqual({ text: '', calls: [{ name: 'a', arguments: '{"b":1}' }] })
  })

  it('keeps text behind a call, with its whitespace', () => {
    const text = '<tool_call>{"name": "a", "arguments": {}}</tool_call>\n\nDone <b>.'
    for (const texts of splits(text)) expect(read('auto', texts).text).toBe('\n\nDone <b>.')
  })
})
