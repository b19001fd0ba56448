/** The small text files of a model: tokenizer, configuration, labels. A broken one is named in the error. */
import { badRequest, doesNotExist, tooLarge } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** Resolves to the bytes of a small artifact, or null where there is none. */
export async function readBytes(reader: ArtifactReader, path: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const sizeBytes = await reader.sizeOf(path)
  if (sizeBytes === null) return null
  if (sizeBytes > limits.smallArtifactBytes) throw tooLarge(path, sizeBytes, limits.smallArtifactBytes)
  const bytes = new Uint8Array(sizeBytes)
  let at = 0
  for await (const chunk of await reader.stream(path)) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes.subarray(0, at)
}

/** @throws {ServingError} 404 naming the file where there is none. */
export async function requireBytes(reader: ArtifactReader, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readBytes(reader, path)
  if (bytes === null) throw doesNotExist(`The model has no file "${path}".`)
  return bytes
}

/** Resolves to the text of an artifact, or null where there is none. */
export async function readText(reader: ArtifactReader, path: string): Promise<string | null> {
  const bytes = await readBytes(reader, path)
  return bytes && textIn(bytes, path)
}

/** Resolves to the JSON object in an artifact, or null where there is none. */
export async function readJson(reader: ArtifactReader, path: string): Promise<JsonObject | null> {
  const bytes = await readBytes(reader, path)
  return bytes && jsonIn(bytes, path)
}

function textIn(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw badRequest(`The model's file "${path}" is not valid UTF-8.`)
  }
}

/** The JSON object in the bytes of an artifact. @throws {ServingError} 400 naming a file that holds none. */
export function jsonIn(bytes: Uint8Array, path: string): JsonObject {
  const text = textIn(bytes, path)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw badRequest(`The model's file "${path}" is not valid JSON: ${error instanceof Error ? error.message : error}`)
  }
  if (!isObject(value)) throw badRequest(`The model's file "${path}" holds no JSON object.`)
  return value
}

/** @throws {ServingError} 404 naming the file where there is none. */
export async function requireJson(reader: ArtifactReader, path: string): Promise<JsonObject> {
  const value = await readJson(reader, path)
  if (value === null) throw doesNotExist(`The model has no file "${path}".`)
  return value
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
