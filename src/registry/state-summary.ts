/**
 * One plain line beside `ready` and `config_update`, because the two together are read wrong so often: an endpoint can be
 * READY while its update failed, and NOT_UPDATING with nothing to serve.
 */
import type { Endpoint, EndpointConfig, ServedEntity } from '#contracts/registry.ts'

export type LiveMessage = (endpoint: Endpoint, entity: ServedEntity) => string | undefined

/** Whether all entities of the active configuration are ready. */
export function isReady({ active }: Endpoint): boolean {
  return active?.servedEntities.every(({ state }) => state === 'DEPLOYMENT_READY') ?? false
}

export function stateSummary(endpoint: Endpoint, liveMessage?: LiveMessage): string {
  const { active, pending, configUpdate } = endpoint
  if (active) return `${activeLine(endpoint, active, liveMessage)}${updateLine(endpoint)}`
  if (!pending) return 'Not ready: it has no configuration yet, so there is nothing to serve.'
  if (configUpdate === 'IN_PROGRESS') return `Coming up: ${progressOf(pending)}.`
  if (configUpdate === 'UPDATE_CANCELED')
    return `Not ready: the deployment of config version ${pending.version} was canceled.`
  return `Not ready: the deployment of config version ${pending.version} failed. ${failureOf(pending)}`
}

function activeLine(endpoint: Endpoint, active: EndpointConfig, liveMessage?: LiveMessage): string {
  if (!isReady(endpoint)) return `Not ready on config version ${active.version}: ${progressOf(active)}.`
  const asides = active.servedEntities.flatMap((entity) => {
    const message = liveMessage?.(endpoint, entity)
    return message ? [`${entity.name}: ${message}`] : []
  })
  return `Ready on config version ${active.version}${asides.length > 0 ? ` (${asides.join('; ')})` : ''}.`
}

function updateLine({ pending, configUpdate }: Endpoint): string {
  if (!pending) return ''
  if (configUpdate === 'IN_PROGRESS') return ` Config version ${pending.version} is coming up: ${progressOf(pending)}.`
  if (configUpdate === 'UPDATE_CANCELED') return ` The update to config version ${pending.version} was canceled.`
  return ` The update to config version ${pending.version} failed. ${failureOf(pending)}`
}

function progressOf({ servedEntities }: EndpointConfig): string {
  const ready = servedEntities.filter(({ state }) => state === 'DEPLOYMENT_READY').length
  return `${ready} of ${servedEntities.length} served ${servedEntities.length === 1 ? 'entity is' : 'entities are'} ready`
}

function failureOf({ servedEntities }: EndpointConfig): string {
  const failed = servedEntities.find(({ state }) => state === 'DEPLOYMENT_FAILED')
  return failed ? `${failed.name}: ${failed.stateMessage}` : ''
}
