/** What every invocation needs of the dispatcher, whatever it asks for. */
import type { ServedEntity } from '#contracts/registry.ts'
import type { ServeOptions } from '#src/gateway/settle.ts'
import { splitTraffic } from '#src/policies/split.ts'
import type { Call } from './call.ts'
import { versionOf } from './routes/endpoints.ts'
import { specOf } from './specs.ts'

/** @param only the served entity to ask, where the traffic split is not to choose. */
export function serveOptions(call: Call, only: ServedEntity | undefined): ServeOptions {
  const { services, ctx } = call
  return {
    host: services.host,
    record: (row) => services.sink.record(row, (promise) => ctx.waitUntil(promise)),
    now: () => Date.now(),
    choose: (endpoint) => only ?? splitTraffic(endpoint.active!, Math.random()),
    versionOf: (entity) => versionOf(call, entity),
    specOf: (owner, entity, version) => specOf(owner, entity, version, services.env.IDLE_MS),
  }
}
