/** Waiting for an endpoint: a configuration is accepted at once and comes up while the caller looks. */
import { setTimeout as wait } from 'node:timers/promises'
import type { GlimClient } from '#src/client/client.ts'
import type { EndpointView } from '#src/client/views.ts'
import { failed } from './failure.ts'

export interface WaitOptions {
  client: Pick<GlimClient, 'getEndpoint' | 'buildLogs'>
  /** Hears the state of every look. */
  onState?(summary: string): void
  everyMs?: number
  limitMs?: number
}

/** Lines of a failed build that are shown. */
const logLines = 12

/** Resolves once nothing is coming up any more. @throws {Failure} where the deployment failed, with the end of its log. */
export async function deployed(name: string, options: WaitOptions): Promise<EndpointView> {
  const { client, onState = () => {}, everyMs = 150, limitMs = 600_000 } = options
  const deadline = Date.now() + limitMs
  for (;;) {
    const endpoint = await client.getEndpoint(name)
    const { config_update } = endpoint.state
    if (config_update === 'NOT_UPDATING') return endpoint
    if (config_update !== 'IN_PROGRESS') throw await failureOf(endpoint, client)
    onState(endpoint.state_summary)
    if (Date.now() > deadline) {
      throw failed(
        'DEADLINE_EXCEEDED',
        `Endpoint ${name} is still coming up after ${limitMs / 1_000} s. Look again with: glim endpoints show ${name}`,
      )
    }
    await wait(everyMs)
  }
}

async function failureOf({ name, state_summary, pending_config }: EndpointView, client: WaitOptions['client']) {
  const entities = pending_config?.served_entities ?? []
  const broken = entities.find(({ state }) => state?.deployment === 'DEPLOYMENT_FAILED') ?? entities[0]
  const log = broken ? await client.buildLogs(name, broken.name).catch(() => '') : ''
  const tail = log.trimEnd().split('\n').slice(-logLines).join('\n')
  return failed(
    'UPDATE_FAILED',
    `Endpoint ${name} did not come up. ${state_summary}${tail ? `\nThe end of its build log:\n${tail}` : ''}`,
  )
}
