/** How the sessions of endpoints are created. Host and isolate both read it: a heap snapshot is named after it. */
export interface SessionOptions {
  /** Graph optimisation: 0 none, 1 basic, 2 extended, 99 all. */
  level?: 0 | 1 | 2 | 99
  /** ORT's session configuration entries, by key. */
  config?: Readonly<Record<string, string>>
  /** Uses an `.ort` file's weights where they lie, and keeps its block. */
  inPlace?: boolean
}

/** The format of heap snapshots: changes with their layout, and with anything in the driver that leaves other things in the heap. */
export const snapshotFormat = 2

/** An `.ort` graph was optimised when it was made. */
export function sessionOptionsOf(graph: string): Required<Pick<SessionOptions, 'level' | 'inPlace'>> {
  return { level: 99, inPlace: graph.endsWith('.ort') }
}
