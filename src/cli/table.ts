/** Rows as aligned columns under a heading; the last column is not padded. */
export function table(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  bold: (text: string) => string,
): string {
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  ')
  return [bold(line(heading)), ...rows.map(line)].join('\n')
}

export function sizeText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`
  return `${(bytes / 1_000_000_000).toFixed(2)} GB`
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}
