/** Bringing one served entity up: its isolate loads the model and answers the version's input example. */
import type { Host } from '#contracts/host.ts'
import type { EndpointConfig, ServedEntity } from '#contracts/registry.ts'
import { answerExample } from '#src/gateway/answer-example.ts'
import type { PendingDeployment } from '#src/registry/deployments.ts'
import type { Registry } from '#src/registry/registry.ts'
import { makeSpec } from './specs.ts'

export interface BringUpOptions {
  registry: Registry
  host: Host
  idleMs: number
}

/** Resolves when the registry knows how it went; never rejects. */
export async function bringUp(
  deployment: PendingDeployment,
  { registry, host, idleMs }: BringUpOptions,
): Promise<void> {
  const { endpointId, configVersion, entity, model } = deployment
  const log = (text: string) => registry.appendBuildLog(endpointId, configVersion, entity.name, text)
  try {
    log(`Bringing up ${model.name} version ${model.version} (${model.task}, ${mib(model.sizeBytes)} MiB of files).`)
    const spec = makeSpec(endpointId, entity, model, idleMs)
    const { heapBytes, weightsBytes } = await host.describe(spec)
    log(`The model is loaded: ${mib(weightsBytes)} MiB of weights in a heap of ${mib(heapBytes)} MiB.`)
    if (model.inputExample !== null) {
      const runMs = await answerExample(model.inputExample, { host, spec, version: model })
      log(`The input example was answered in ${Math.round(runMs)} ms.`)
    }
    const replaced = registry.getEndpointById(endpointId).active
    registry.entityReady(endpointId, configVersion, entity.name)
    log('Ready.')
    const { active } = registry.getEndpointById(endpointId)
    if (replaced && active !== null && active.version !== replaced.version) await retire(replaced, active)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    log(`Failed: ${message}`)
    registry.entityFailed(endpointId, configVersion, entity.name, message)
  }

  /** What idles out needs no help; what is kept warm would stay for ever. */
  async function retire(replaced: EndpointConfig, active: EndpointConfig): Promise<void> {
    const isKept = (old: ServedEntity) =>
      active.servedEntities.some((now) => now.name === old.name && now.entityVersion === old.entityVersion)
    for (const old of replaced.servedEntities) {
      if (old.scaleToZero || isKept(old)) continue
      const version = registry.getVersion(old.entityName, old.entityVersion)
      await host.retire(makeSpec(endpointId, old, version, idleMs))
    }
  }
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
