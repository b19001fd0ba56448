/** Where output goes: results to stdout, everything about them to stderr, and a progress line only where somebody watches. */
import { styleText } from 'node:util'

export interface Terminal {
  /** A line of the result. */
  print(line: string): void
  /** A piece of the result, as it comes. */
  write(text: string): void
  /** A line about the work. */
  note(line: string): void
  /** Shows how far it is, in place, at most ten times a second; null takes the line away. Nothing in a pipe. */
  progress(line: string | null): void
  bold(text: string): string
}

interface OutputStream {
  isTTY?: boolean
  columns?: number
  write(text: string): unknown
}

const redrawMs = 100
const clearLine = '\r\u001b[2K'

export function terminalOn(stdout: OutputStream, stderr: OutputStream, now: () => number = Date.now): Terminal {
  let drawn = false
  let drawnMs = 0
  const erase = () => {
    if (drawn) stderr.write(clearLine)
    drawn = false
    drawnMs = 0
  }
  return {
    print(line) {
      erase()
      stdout.write(`${line}\n`)
    },
    write(text) {
      erase()
      stdout.write(text)
    },
    note(line) {
      erase()
      stderr.write(`${line}\n`)
    },
    progress(line) {
      if (!stderr.isTTY) return
      if (line === null) return erase()
      if (now() - drawnMs < redrawMs) return
      drawn = true
      drawnMs = now()
      // A line that wraps could not be taken back.
      stderr.write(`${clearLine}${line.slice(0, (stderr.columns ?? 80) - 1)}`)
    },
    bold: (text) => (stdout.isTTY ? styleText('bold', text) : text),
  }
}

/** `[#####-----]  50%`; full where there is nothing to do. */
export function bar(done: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total)
  const filled = Math.round(share * 24)
  return `[${'#'.repeat(filled)}${'-'.repeat(24 - filled)}] ${String(Math.floor(share * 100)).padStart(3)}%`
}
