/** What every refusal looks like, whatever was wrong: JSON in the dialect of its route, with a request id, without the token. */
import { expect } from 'vitest'
import type { Dialect } from '#src/gateway/error-body.ts'
import { adminTestToken, type Reply } from './server.ts'

const text = expect.stringMatching(/\S/)
const code = expect.stringMatching(/^[A-Z_]+$/)

const shapes: Readonly<Record<Dialect, object>> = {
  native: { error_code: code, message: text },
  openai: {
    error: {
      message: text,
      type: text,
      code: expect.stringMatching(/^[a-z_]+$/),
      param: expect.toBeOneOf([null, text]),
    },
    error_code: code,
    message: text,
  },
  anthropic: { type: 'error', error: { type: text, message: text }, request_id: text },
  'open-inference': { error: text },
}

/** Fields that clients of the native API would read as something else. */
const foreignToNative = ['error', 'detail', 'status', 'scimType']

export function expectError(reply: Reply, dialect: Dialect, status: number, token = adminTestToken): void {
  expect({ status: reply.status, text: reply.text }).toEqual({ status, text: reply.text })
  expect(reply.headers.get('content-type')).toBe('application/json')
  expect(reply.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  expect(reply.json).toMatchObject(shapes[dialect])
  if (dialect === 'native') for (const field of foreignToNative) expect(reply.json).not.toHaveProperty(field)
  if (dialect === 'openai') expect(reply.json.error.message).toBe(reply.json.message)
  if (dialect === 'open-inference') expect(Object.keys(reply.json)).toEqual(['error'])
  expect(reply.text).not.toContain(token)
  expect(reply.text).not.toMatch(/\.(ts|js):\d+/)
  if (status === 401) expect(reply.headers.get('www-authenticate')).toBe('Bearer')
  if (status === 429 || status === 503) expect(reply.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
}

export function messageOf({ json }: Reply): string {
  return typeof json?.error === 'string' ? json.error : (json?.message ?? json?.error?.message ?? '')
}
