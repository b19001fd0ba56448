/** A terminal that keeps what it was told. */
import type { Terminal } from '#src/cli/terminal.ts'

export interface RecordingTerminal extends Terminal {
  printed: string[]
  written: string[]
  noted: string[]
}

export function recordingTerminal(): RecordingTerminal {
  const printed: string[] = []
  const written: string[] = []
  const noted: string[] = []
  return {
    printed,
    written,
    noted,
    print: (line) => void printed.push(line),
    write: (text) => void written.push(text),
    note: (line) => void noted.push(line),
    progress: () => {},
    bold: (text) => text,
  }
}
