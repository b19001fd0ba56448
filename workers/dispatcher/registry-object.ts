/**
 * The registry at rest: one Durable Object with SQLite. It answers the dispatcher's calls and brings deployments up; what was
 * pending when the process died is taken up again by the object's alarm.
 */
import { DurableObject } from 'cloudflare:workers'
import { type Outcome, outcomeOf } from '#contracts/outcome.ts'
import { hostClient } from '#src/gateway/host-client.ts'
import { Registry } from '#src/registry/registry.ts'
import { durableObjectDatabase } from '#src/registry/stores/durable-object.ts'
import { bringUp } from './bring-up.ts'
import type { DispatcherEnv } from './env.ts'
import { snapshotReply } from './snapshot-reply.ts'
import { makeSpec } from './specs.ts'

type RegistryMethods = {
  [Name in keyof Registry]: Registry[Name] extends (...args: never[]) => unknown ? Name : never
}[keyof Registry]

const recheckMs = 5_000

export class RegistryObject extends DurableObject<DispatcherEnv> {
  readonly #registry = new Registry(durableObjectDatabase(this.ctx.storage), {
    nowMs: () => Date.now(),
    newId: () => crypto.randomUUID().replaceAll('-', ''),
  })
  /** Deployments under way in this process, by endpoint, config version and entity. */
  readonly #underWay = new Set<string>()

  constructor(ctx: DurableObjectState, env: DispatcherEnv) {
    super(ctx, env)
    // What the last process left undone goes on with the first request, not with the next alarm.
    ctx.waitUntil(this.#deployPending())
    ctx.waitUntil(this.#warmKept())
  }

  /** Calls one method of the registry, and starts what it left to be deployed. */
  async call(method: RegistryMethods, args: readonly unknown[]): Promise<Outcome<unknown>> {
    const change = this.#registry[method] as (...args: unknown[]) => unknown
    const outcome = await outcomeOf(() => change.apply(this.#registry, [...args]))
    await this.#deployPending()
    return outcome
  }

  /** The whole registry if it changed since a revision. */
  newerThan(revision: number): Response {
    return snapshotReply(this.#registry.revision() === revision ? null : this.#registry.snapshot())
  }

  async alarm(): Promise<void> {
    await this.#deployPending()
  }

  /** What is kept warm is warm again before anybody asks for it; what fails to load says so when somebody does. */
  async #warmKept(): Promise<void> {
    const host = hostClient(this.env.HOST)
    for (const { id, active } of this.#registry.listEndpoints()) {
      for (const entity of active?.servedEntities ?? []) {
        if (entity.scaleToZero) continue
        const version = this.#registry.getVersion(entity.entityName, entity.entityVersion)
        await host.describe(makeSpec(id, entity, version, this.env.IDLE_MS)).catch(() => undefined)
      }
    }
  }

  /** Starts what is pending and not yet under way; the alarm looks again for as long as anything is pending. */
  async #deployPending(): Promise<void> {
    const pending = this.#registry.pendingDeployments()
    if (pending.length === 0) return
    await this.ctx.storage.setAlarm(Date.now() + recheckMs)
    const host = hostClient(this.env.HOST)
    for (const deployment of pending) {
      const key = `${deployment.endpointId}/${deployment.configVersion}/${deployment.entity.name}`
      if (this.#underWay.has(key)) continue
      this.#underWay.add(key)
      this.ctx.waitUntil(
        bringUp(deployment, { registry: this.#registry, host, idleMs: this.env.IDLE_MS }).finally(() =>
          this.#underWay.delete(key),
        ),
      )
    }
  }
}
