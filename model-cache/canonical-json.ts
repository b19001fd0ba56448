/**
 * JSON with sorted keys and no white space, so that equal values have equal bytes and therefore one digest (the form of
 * RFC 8785 for the strings, integers, arrays and objects that occur in manifests and specs).
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isPlainObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  )
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
