import { describe, expect, it } from 'vitest'
import type { OptionSpec } from '#src/cli/command.ts'
import { Failure } from '#src/cli/failure.ts'
import { nearest } from '#src/cli/nearest.ts'
import { integerOption, parseArguments } from '#src/cli/parse-arguments.ts'

const command = {
  name: 'models import',
  arguments: [
    { name: 'SOURCE', help: 'a folder' },
    { name: 'REST', help: 'more', optional: true },
  ],
  options: {
    name: { type: 'string', value: 'NAME', required: true, help: 'name of the model' },
    model: { type: 'string', value: 'MODEL', multiple: true, help: 'what it serves' },
    'no-wait': { type: 'boolean', help: 'return at once' },
  } satisfies Record<string, OptionSpec>,
}

function parse(...argv: string[]) {
  return parseArguments(command, argv)
}

function refusal(...argv: string[]): string {
  try {
    parse(...argv)
  } catch (error) {
    expect(error).toBeInstanceOf(Failure)
    expect((error as Failure).exitCode).toBe(2)
    return (error as Failure).message
  }
  throw new Error('it was accepted')
}

describe('parseArguments', () => {
  it('takes options before, between and after arguments', () => {
    const { args, values } = parse('--model', 'a/1', 'folder', '--name=m', '--model', 'b/2', '--no-wait')
    expect(args).toEqual(['folder'])
    expect(values).toEqual({ name: 'm', model: ['a/1', 'b/2'], 'no-wait': true, json: false, help: false })
  })

  it('takes everything after -- and a lone - as arguments', () => {
    expect(parse('--name', 'm', '--', '--folder').args).toEqual(['--folder'])
    expect(parse('--name', 'm', '-').args).toEqual(['-'])
  })

  it('suggests the option that was meant', () => {
    expect(refusal('folder', '--nmae', 'm')).toContain('Unknown option --nmae. Did you mean --name?')
    expect(refusal('folder', '--name', 'm', '--jsno')).toContain('Did you mean --json?')
    expect(refusal('folder', '--name', 'm', '--frobnicate')).not.toContain('Did you mean')
  })

  it('says which option or argument is missing', () => {
    expect(refusal('folder')).toContain('--name NAME is missing: name of the model.')
    expect(refusal('--name', 'm')).toContain('SOURCE is missing: a folder.')
  })

  it('refuses an option as the value of another', () => {
    expect(refusal('folder', '--name', '--no-wait')).toBe('--name needs a value: --name NAME')
    expect(refusal('folder', '--name')).toBe('--name needs a value: --name NAME')
    expect(parse('folder', '--name=--odd').values.name).toBe('--odd')
  })

  it('refuses a value where none is taken, a second value, and an argument too many', () => {
    expect(refusal('folder', '--name', 'm', '--no-wait=yes')).toContain('takes no value')
    expect(refusal('folder', '--name', 'a', '--name', 'b')).toContain('given twice: "a" and "b"')
    expect(refusal('a', 'b', 'c', '--name', 'm')).toContain('"c" is one argument too many')
  })

  it('asks for nothing else once help is asked for', () => {
    expect(parse('--help').values.help).toBe(true)
    expect(parse('-h').values.help).toBe(true)
  })
})

describe('integerOption', () => {
  it('takes whole numbers within bounds and nothing else', () => {
    expect(integerOption('--port', '0', 0, 65_535)).toBe(0)
    expect(integerOption('--port', undefined, 0, 65_535)).toBeUndefined()
    for (const text of ['65536', '-1', '1.5', '1e3', 'x', '', ' 1']) {
      expect(() => integerOption('--port', text, 0, 65_535)).toThrow(`and "${text}" came`)
    }
  })
})

describe('nearest', () => {
  it.each([
    ['endpoint', 'endpoints'],
    ['invok', 'invoke'],
    ['inovke', 'invoke'],
    ['dve', 'dev'],
  ])('knows %s as %s', (word, meant) =>
    expect(nearest(word, ['dev', 'models', 'endpoints', 'invoke', 'tokens'])).toBe(meant),
  )

  it('suggests nothing for a word that is like none', () => {
    expect(nearest('kubernetes', ['dev', 'models', 'endpoints'])).toBeUndefined()
  })
})
