/** What ONNX Runtime says when a call fails, with its own words and status code. */
const codeNames = [
  'OK',
  'FAIL',
  'INVALID_ARGUMENT',
  'NO_SUCHFILE',
  'NO_MODEL',
  'ENGINE_ERROR',
  'RUNTIME_EXCEPTION',
  'INVALID_PROTOBUF',
  'MODEL_LOADED',
  'NOT_IMPLEMENTED',
  'INVALID_GRAPH',
  'EP_FAIL',
] as const

export class OrtError extends Error {
  /** ORT's status code by name, such as `INVALID_GRAPH`. */
  readonly code: string

  constructor(code: number, message: string) {
    super(message)
    this.name = 'OrtError'
    this.code = codeNames[code] ?? `CODE_${code}`
  }
}

/**
 * WebAssembly stopped in the middle of a call (out of memory, an abort). The heap may be inconsistent from then on, so the
 * whole instance is given up.
 */
export class OrtTrapped extends Error {
  constructor(attempted: string, cause: unknown) {
    super(
      `The inference engine stopped during ${attempted}: ${cause instanceof Error ? cause.message : 'an exception that nobody caught, probably for want of memory'}`,
      {
        cause,
      },
    )
    this.name = 'OrtTrapped'
  }
}
