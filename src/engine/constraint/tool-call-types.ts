/** `call` counts from 0. The texts of all `arguments` pieces of a call are its arguments as JSON. */
export type ToolCallPiece =
  | { type: 'text'; text: string }
  | { type: 'start'; call: number; name: string }
  | { type: 'arguments'; call: number; text: string }

/** Takes calls of tools out of a choice's text as it comes, in pieces that may end anywhere. */
export interface ToolCallReader {
  /** What the text so far says beyond what has been returned before. */
  push(text: string): ToolCallPiece[]
  /** What was still held back when the text ended. */
  end(): ToolCallPiece[]
}
