/** Where the running server is and its token, as the command line finds them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const host = process.env.GLIM_HOST ?? '127.0.0.1'
const port = process.env.GLIM_PORT ?? '8787'

export const url = `http://${host}:${port}`
export const token =
  process.env.GLIM_TOKEN ?? readFileSync(join(process.env.GLIM_HOME ?? '.glim', 'token'), 'utf8').trim()

/** Queries an endpoint and resolves to its predictions, one per input. */
export async function predict(endpoint, inputs, params = {}) {
  const reply = await fetch(`${url}/serving-endpoints/${endpoint}/invocations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ inputs, params }),
  })
  const body = await reply.json()
  if (!reply.ok) throw new Error(`${endpoint}: ${body.message}`)
  return body.predictions
}
