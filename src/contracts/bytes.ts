/** Bytes as text. workerd and browsers do base64 natively; the slower way is for Node before version 25. */

interface Base64Bytes {
  toBase64?(): string
}
const native = Uint8Array as unknown as { fromBase64?(text: string): Uint8Array<ArrayBuffer> }

export function hexOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += hexDigits[byte]
  return text
}

export function base64Of(bytes: Uint8Array): string {
  const own = bytes as Base64Bytes
  if (own.toBase64) return own.toBase64()
  let text = ''
  for (let at = 0; at < bytes.length; at += 8_192) text += String.fromCharCode(...bytes.subarray(at, at + 8_192))
  return btoa(text)
}

/** @throws {SyntaxError | DOMException} for text that is not base64. */
export function bytesFromBase64(text: string): Uint8Array {
  return native.fromBase64
    ? native.fromBase64(text)
    : Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
}

const hexDigits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
