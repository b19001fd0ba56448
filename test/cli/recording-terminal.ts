/** A terminal that keeps what it was told. */
import type { Terminal } from '#src/cli/terminal.ts'

export interface RecordingTerminal extends Terminal {
  printed: string[]
  noted: string[]
}

export function recordingTerminal(): RecordingTerminal {
  const printed: string[] = []
  const noted: string[] = []
  return {
    printed,
    noted,
    print: (line) => void printed.push(line),
    note: (line) => void noted.push(line),
    progress: () => {},
    bold: (text) => text,
  }
}
