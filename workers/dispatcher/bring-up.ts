/** Bringing one served entity up: its isolate loads the model and answers the version's input example. */
import type { Host } from '#contracts/host.ts'
import { nativeRequest } from '#src/gateway/dialects/native.ts'
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
      const { usage } = await host.run(spec, nativeRequest(model.inputExample, model))
      log(`The input example was answered in ${usage.runMs} ms.`)
    }
    registry.entityReady(endpointId, configVersion, entity.name)
    log('Ready.')
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    log(`Failed: ${message}`)
    registry.entityFailed(endpointId, configVersion, entity.name, message)
  }
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
