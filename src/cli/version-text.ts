/** A model version for people, its inputs and outputs as `pixel_values float32[batch, 1, 28, 28]`. */
import type { Field, Signature } from '#contracts/signature.ts'
import type { VersionView } from '#src/client/views.ts'
import { sizeText } from './table.ts'

export function versionText(version: VersionView): string {
  const {
    name,
    version: number,
    task,
    graph,
    size_bytes,
    heap_bytes,
    signature,
    source,
    comment,
    capabilities,
  } = version
  return [
    `${name} version ${number}`,
    `  task     ${task}`,
    `  graph    ${graph}`,
    ...signatureText(signature).map((line) => `  ${line}`),
    `  size     ${sizeText(size_bytes)} of files, ${sizeText(heap_bytes)} of memory while warm`,
    ...(capabilities ? [`  runs     ${runsText(capabilities)}`] : []),
    ...(source ? [`  source   ${source}`] : []),
    ...(comment ? [`  comment  ${comment}`] : []),
  ].join('\n')
}

function runsText(capabilities: NonNullable<VersionView['capabilities']>): string {
  const { max_tokens, max_batch, batch_invariant, devices, memory_bytes } = capabilities
  return [
    ...(max_tokens === null ? [] : [`${max_tokens} tokens a row`]),
    batch_invariant ? `up to ${max_batch} rows together, the same bits as alone` : 'row by row',
    `at most ${sizeText(memory_bytes)} of memory`,
    `on ${devices.join(', ')}`,
  ].join('; ')
}

/** Tensors past this are counted instead. */
const mostFields = 12

function signatureText({ inputs, outputs }: Signature): string[] {
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
