import { describe, expect, it } from 'vitest'
import { commands, unbuilt } from '#src/cli/commands.ts'
import { runCommand } from '#src/cli/run-command.ts'
import { surroundingsOf } from '#src/cli/surroundings.ts'
import { recordingTerminal } from './recording-terminal.ts'

/** Port 9 is the discard service, which nobody runs. */
const env = { GLIM_PORT: '9', GLIM_HOME: '/nonexistent' }

async function run(...argv: string[]) {
  const terminal = recordingTerminal()
  const exitCode = await runCommand(argv, surroundingsOf(env, '/tmp', terminal))
  return { exitCode, out: terminal.printed.join('\n'), err: terminal.noted.join('\n') }
}

describe('help', () => {
  it('lists every command, those to come, the environment and the exit codes', async () => {
    const { exitCode, out } = await run('--help')
    expect(exitCode).toBe(0)
    for (const { name } of commands) expect(out).toContain(`  ${name} `)
    for (const name of [...Object.keys(unbuilt), 'GLIM_HOME', 'GLIM_TOKEN']) expect(out).toContain(`  ${name} `)
    expect(out).toMatch(/Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 /)
  })

  it.each(commands.map(({ name }) => name))('of %s tells its usage, every option and an example', async (name) => {
    const command = commands.find((candidate) => candidate.name === name)!
    const { exitCode, out } = await run(...name.split(' '), '--help')
    expect(exitCode).toBe(0)
    expect(out).toContain(`Usage:\n  glim ${name}`)
    for (const option of [...Object.keys(command.options), 'json', 'help']) expect(out).toContain(`  --${option}`)
    expect(command.examples.length).toBeGreaterThan(0)
    for (const example of command.examples) expect(out).toContain(example)
  })

  it.each(['models', 'endpoints', 'tokens'])('of the group %s lists its commands', async (group) => {
    const { exitCode, out } = await run(group, '--help')
    expect(exitCode).toBe(0)
    for (const { name } of commands.filter(({ name }) => name.startsWith(`${group} `))) expect(out).toContain(name)
  })

  it('is the same by the word help', async () => {
    expect((await run('help', 'models', 'import')).out).toBe((await run('models', 'import', '--help')).out)
  })
})

describe('wrong usage exits with 2 and says what is near', () => {
  it.each([
    [['endpoint', 'list'], 'Did you mean glim endpoints?'],
    [['models', 'improt', 'x'], 'Did you mean glim models import?'],
    [['models'], 'glim models needs one of: import, list, show, remove'],
    [['models', 'import', 'x', '--nam', 'y'], 'Did you mean --name?'],
    [['endpoints', 'create', 'x'], '--model is missing'],
    [['endpoints', 'create', 'x', '--model', 'intent'], 'NAME/VERSION or NAME@ALIAS'],
    [['invoke', 'x', 'plain text'], `'"plain text"'`],
    [['models', 'import', '/nonexistent/model', '--name', 'x'], 'There is no file or folder /nonexistent/model.'],
    [['dev', '--port', '70000'], '--port must be a whole number from 0 to 65535'],
    [
      ['models', 'import', 'hf:owner', '--name', 'x'],
      'Expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION, and "hf:owner"',
    ],
    [['models', 'import', 's3://bucket/model.onnx', '--name', 'x'], 's3:// is no source'],
    [['models', 'import', 'http://example.com/model.onnx', '--name', 'x'], 'http://example.com is not https'],
    [['models', 'import', '.', '--name', 'x', '--digest', 'abc'], '--digest must be sha256: and 64'],
  ])('glim %j', async (argv, message) => {
    const { exitCode, err, out } = await run(...argv)
    expect(err).toContain(message)
    expect(exitCode).toBe(2)
    expect(out).toBe('')
  })

  it.each(Object.keys(unbuilt))('glim %s is not built yet', async (name) => {
    const { exitCode, err } = await run(name, 'anything')
    expect(exitCode).toBe(2)
    expect(err).toMatch(new RegExp(`^glim: glim ${name} is not built yet`))
  })
})

describe('without a server', () => {
  it('exits with 3 and says how to start one', async () => {
    const { exitCode, err } = await run('models', 'list')
    expect(exitCode).toBe(3)
    expect(err).toMatch(/^glim: No glim server answers at http:\/\/127\.0\.0\.1:9.*Start one with: npm start$/)
  })

  it('says so as JSON where that is asked for', async () => {
    const { exitCode, err, out } = await run('endpoints', 'list', '--json')
    expect(exitCode).toBe(3)
    expect(out).toBe('')
    expect(JSON.parse(err)).toEqual({ error_code: 'NO_SERVER', message: expect.stringContaining('npm start') })
  })

  it('says wrong usage as JSON too, even where --json comes after it', async () => {
    const { exitCode, err } = await run('endpoints', 'list', '--wrong', '--json')
    expect(exitCode).toBe(2)
    expect(JSON.parse(err)).toMatchObject({ error_code: 'USAGE' })
  })
})
