import { expect, it } from 'vitest'
import { table } from '#src/cli/table.ts'
import { bar, terminalOn } from '#src/cli/terminal.ts'

function stream(isTTY: boolean) {
  const written: string[] = []
  return { isTTY, columns: 20, written, write: (text: string) => written.push(text) }
}

it('shows no progress in a pipe', () => {
  const [out, err] = [stream(false), stream(false)]
  const terminal = terminalOn(out, err)
  terminal.progress('half way')
  terminal.print('done')
  expect([out.written, err.written]).toEqual([['done\n'], []])
})

it('draws progress in place, at most ten times a second, within the width, and takes it away before other lines', () => {
  const [out, err] = [stream(true), stream(true)]
  let nowMs = 1_000
  const terminal = terminalOn(out, err, () => nowMs)
  terminal.progress('a line that is longer than the terminal')
  nowMs += 50
  terminal.progress('too early')
  nowMs += 100
  terminal.progress('second')
  terminal.print('done')
  expect(err.written).toEqual(['\r\u001b[2Ka line that is long', '\r\u001b[2Ksecond', '\r\u001b[2K'])
  expect(out.written).toEqual(['done\n'])
})

it('fills the bar by the share that is done, and where there is nothing to do', () => {
  expect(bar(0, 4)).toBe('[------------------------]   0%')
  expect(bar(2, 4)).toBe('[############------------]  50%')
  expect(bar(0, 0)).toBe('[########################] 100%')
})

it('aligns columns', () => {
  expect(
    table(
      ['NAME', 'N'],
      [
        ['a', '1'],
        ['longer', '22'],
      ],
      (text) => text,
    ),
  ).toBe('NAME    N\na       1\nlonger  22')
})
