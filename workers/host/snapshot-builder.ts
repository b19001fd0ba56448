/**
 * Builds heap snapshots behind the scenes: mounts the endpoint's own bundle in a throw-away isolate that gets no request, has it load
 * the model and write its heap to the cache, and ends it. One after the other, and never while a caller waits for it.
 *
 * What is to be built is in storage, so that an object or a process that ends meanwhile goes on. What failed, or ended with its
 * process twice, is given up until the next ordinary load asks again.
 */
import { DurableObject } from 'cloudflare:workers'
import type { EndpointSpec } from '#contracts/bundle.ts'
import type { HostEnv } from './env.ts'
import { modelCache } from './env.ts'
import { isolateCode } from './isolate-code.ts'
import { lastBusyMs } from './replica-activity.ts'
import { snapshotKeyOf } from './snapshot-key.ts'
import { bundleOfSpec } from './spec-header.ts'

/**
 * So long no model may have been asked for anything: a build takes the thread that requests and imports need. A host that has
 * just come up, with a build left over from the last process, is not quiet either: its first callers are about to come.
 */
const quietMs = 1_000
/** A host that is never quiet builds all the same, at the cost of one slow answer, so that its next cold starts are fast. */
const longestDelayMs = 15_000
const mostAttempts = 2
/** Between the end of the last builder isolate and that of this object, which holds its memory. */
const restMs = 100

export class SnapshotBuilder extends DurableObject<HostEnv> {
  readonly #sql = this.ctx.storage.sql
  readonly #bornMs = Date.now()
  /** When to build at the latest; undefined where nothing is wanted. */
  #latestMs: number | undefined

  constructor(ctx: DurableObjectState, env: HostEnv) {
    super(ctx, env)
    this.#sql.exec(
      'CREATE TABLE IF NOT EXISTS wanted (key TEXT PRIMARY KEY, spec TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0)',
    )
  }

  /** POST with an `EndpointSpec`: answers at once. */
  async fetch(request: Request): Promise<Response> {
    const spec = (await request.json()) as EndpointSpec
    const key = await snapshotKeyOf(spec)
    this.#sql.exec('INSERT OR IGNORE INTO wanted (key, spec) VALUES (?, ?)', key, JSON.stringify(spec))
    await this.#waitForQuiet()
    return new Response()
  }

  async #waitForQuiet(): Promise<void> {
    this.#latestMs ??= Date.now() + longestDelayMs
    await this.ctx.storage.setAlarm(Math.min(this.#quietAtMs(), this.#latestMs))
  }

  #quietAtMs(): number {
    return Math.max(lastBusyMs(), this.#bornMs) + quietMs
  }

  async alarm(): Promise<void> {
    this.#latestMs ??= Date.now() + longestDelayMs
    for (let wanted = this.#next(); wanted; wanted = this.#next()) {
      if (Date.now() < Math.min(this.#quietAtMs(), this.#latestMs)) return this.#waitForQuiet()
      this.#latestMs = Date.now() + longestDelayMs
      this.#sql.exec('UPDATE wanted SET attempts = attempts + 1 WHERE key = ?', wanted.key)
      await this.ctx.storage.sync()
      try {
        await this.#build(wanted.spec)
      } catch (error) {
        console.error(`No snapshot was built: ${error instanceof Error ? error.message : error}`)
      }
      this.#sql.exec('DELETE FROM wanted WHERE key = ?', wanted.key)
    }
    this.#latestMs = undefined
    setTimeout(async () => {
      await this.ctx.storage.sync()
      if (!this.#next()) this.ctx.abort('glim: no more snapshots to build')
    }, restMs)
  }

  /** What is left from an attempt that ended with its process is tried once more. */
  #next(): { key: string; spec: string } | undefined {
    this.#sql.exec('DELETE FROM wanted WHERE attempts >= ?', mostAttempts)
    const [row] = this.#sql.exec('SELECT key, spec FROM wanted LIMIT 1').toArray()
    return row ? { key: String(row.key), spec: String(row.spec) } : undefined
  }

  async #build(spec: string): Promise<void> {
    const bundle = await bundleOfSpec(spec)
    const { manifest } = bundle.env.SPEC
    const key = await snapshotKeyOf(bundle.env.SPEC)
    if ((await modelCache(this.env).snapshotShards(key)).length > 0) return
    const sink = this.ctx.exports.SnapshotSink!({ props: { key, manifest } })
    const worker = this.env.LOADER.get(`snapshot:${crypto.randomUUID()}`, () =>
      isolateCode(bundle, this.ctx, this.env, { SINK: sink }),
    )
    const isolate = this.ctx.facets.get(key, async () => ({ class: worker.getDurableObjectClass('Endpoint') }))
    try {
      await isolate.saveSnapshot()
    } finally {
      // The isolate ends inside this call, so the call always fails.
      await isolate.douse().catch(() => undefined)
      this.ctx.facets.abort(key, new Error('the snapshot is built'))
    }
  }
}

/** Asks for a snapshot of what a bundle serves; resolves once that is noted. */
export async function wantSnapshot(env: HostEnv, spec: EndpointSpec): Promise<void> {
  const builder = env.SNAPSHOT_BUILDER.getByName('builder')
  await builder.fetch('http://builder/', { method: 'POST', body: JSON.stringify(spec) })
}
