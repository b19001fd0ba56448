/** A signature for people: `inputs   pixel_values float32[batch, 1, 28, 28]`. */
import type { Field, Signature } from '#contracts/signature.ts'

/** Tensors past this are counted instead. */
const mostFields = 12

export function signatureText({ inputs, outputs }: Signature): string[] {
  return [...listed('inputs', inputs), ...listed('outputs', outputs)]
}

function listed(title: string, fields: readonly Field[]): string[] {
  const lines = fields
    .slice(0, mostFields)
    .map((field, index) => `${(index === 0 ? title : '').padEnd(8)} ${fieldText(field)}`)
  return fields.length > mostFields ? [...lines, `${''.padEnd(8)} and ${fields.length - mostFields} more`] : lines
}

function fieldText({ name, dtype, shape, optional }: Field): string {
  return `${name} ${dtype}[${shape.join(', ')}]${optional ? ' (optional)' : ''}`
}
