/**
 * One replica: the Durable Object that mounts an endpoint bundle as its facet, so that all requests of the isolate share one
 * I/O context and one request's loop may feed another's stream.
 *
 * Life: cold → loading → warm → (idle) → cold. The isolate loads its model on the first request and keeps it in module scope;
 * the object's alarm douses it after `idleMs` without a request, and then its memory comes back. The object itself may be
 * evicted at any time, so what must outlive it is in the host's module scope (`replica-activity.ts`) or in its storage (the log).
 */
import { DurableObject } from 'cloudflare:workers'
import type { Bundle } from '#contracts/bundle.ts'
import { deadlineExceeded, exhausted, isServingError, modelFailed } from '#contracts/errors.ts'
import { eventLinesType } from '#contracts/event-lines.ts'
import type { ReplicaState } from '#contracts/host.ts'
import { limits } from '#contracts/limits.ts'
import type { HostEnv } from './env.ts'
import { isolateCode } from './isolate-code.ts'
import { type Activity, activityOf } from './replica-activity.ts'
import { ServiceLog } from './service-log.ts'
import { wantSnapshot } from './snapshot-builder.ts'
import { bundleOf, bundleOfSpec, specUnknown } from './spec-header.ts'

/** What a request sees that comes in the moment in which its replica goes: it only has to come again. */
export const replicaGone = 'glim: the replica went to rest'

/** Between the end of an isolate and that of its replica. */
const restMs = 100

/** How long a dispatcher may still send requests to what a new configuration has replaced; snapshots are at most 1 s old. */
const retireMs = 5_000

export class Replica extends DurableObject<HostEnv> {
  readonly #log = new ServiceLog(this.ctx.storage)

  async fetch(request: Request): Promise<Response> {
    const bundle = await bundleOf(request.headers)
    if (!bundle) return specUnknown()
    const now = activityOf(bundle.id)
    switch (new URL(request.url).pathname) {
      case '/logs':
        return Response.json({ logs: this.#log.text() })
      case '/douse':
        await this.#douse(bundle, 'asked to')
        return Response.json({})
      case '/retire':
        now.retired = true
        await this.#armTimer(bundle, retireMs)
        return Response.json({})
      default:
        return this.#forward(request, bundle, now)
    }
  }

  /** Runs the request in the isolate; an isolate that died is replaced once before the request fails. */
  async #forward(request: Request, bundle: Bundle, now: Activity): Promise<Response> {
    if (now.inFlight >= limits.replicaQueue) {
      // The time of a request includes its wait behind the others.
      const seconds = Math.ceil(now.requestMs / 1000)
      return refuse(exhausted(`${now.inFlight} requests already wait for this model.`, Math.max(1, seconds)))
    }
    now.inFlight += 1
    let { isolate } = now
    const startedMs = Date.now()
    const settle = async () => {
      now.inFlight -= 1
      now.lastUsedMs = Date.now()
      now.requestMs += (now.lastUsedMs - startedMs - now.requestMs) / 8
      if (bundle.env.SPEC.idleMs !== null) await this.#armTimer(bundle, bundle.env.SPEC.idleMs)
    }
    let isStreaming = false
    try {
      const body = await request.arrayBuffer()
      const attempt = async () => {
        await now.gone
        if (now.state === 'cold') now.state = 'loading'
        now.manifest = bundle.env.SPEC.manifest
        now.idleMs = bundle.env.SPEC.idleMs
        // A deployment looks at what it brings up first, also at what it takes back.
        if (new URL(request.url).pathname === '/describe') now.retired = false
        isolate = now.isolate
        return withDeadline(request.signal, (signal) =>
          this.#isolate(bundle).fetch(
            new Request(request.url, { method: 'POST', headers: request.headers, body, signal }),
          ),
        )
      }
      const response = await attempt().catch(async (error: unknown) => {
        if (request.signal.aborted || isServingError(error)) throw error
        await this.#douse(bundle, `the isolate failed (${textOf(error)})`, isolate)
        return attempt()
      })
      let noted = await this.#noteLoad(response, bundle, isolate)
      if (isUntried(noted)) noted = await this.#noteLoad(await attempt(), bundle, isolate)
      if (noted.headers.get('content-type') !== eventLinesType) return noted
      isStreaming = true
      return this.#stream(noted, settle)
    } catch (error) {
      if (request.signal.aborted) throw error
      if (isServingError(error)) return refuse(error)
      await this.#douse(bundle, `the isolate failed again (${textOf(error)})`, isolate)
      return refuse(modelFailed(`The model's isolate ended while it answered: ${textOf(error)}.`))
    } finally {
      if (!isStreaming) await settle()
    }
  }

  /** A request that streams is in flight until its last byte, or until its reader has gone. */
  #stream(response: Response, settle: () => Promise<void>): Response {
    const { readable, writable } = new IdentityTransformStream()
    this.ctx.waitUntil(response.body!.pipeTo(writable).then(settle, settle))
    return new Response(readable, response)
  }

  /** An isolate that could not load its model holds memory and no answers, so it ends at once. */
  async #noteLoad(response: Response, bundle: Bundle, isolate: number): Promise<Response> {
    const loaded = response.headers.get('x-glim-loaded')
    if (loaded !== null) this.#log.append(`loaded: ${decodeURIComponent(loaded)}`)
    const firstRun = response.headers.get('x-glim-first-run-ms')
    if (firstRun !== null) this.#log.append(`first run: ${firstRun} ms`)
    if (response.headers.has('x-glim-snapshot-wanted')) {
      this.ctx.waitUntil(wantSnapshot(this.env, bundle.env.SPEC).catch(() => undefined))
    }
    const failed = response.headers.get('x-glim-load-failed')
    const now = activityOf(bundle.id)
    if (failed === null) {
      const spent = response.headers.get('x-glim-spent')
      if (spent !== null) return this.#replace(response, bundle, decodeURIComponent(spent), isolate)
      if (isolate === now.isolate) {
        now.state = 'warm'
        now.memory = memoryOf(response) ?? now.memory
      }
      return response
    }
    return this.#replace(response, bundle, `load failed: ${decodeURIComponent(failed)}`, isolate)
  }

  /** Ends the isolate that gave this reply. */
  async #replace(response: Response, bundle: Bundle, why: string, isolate: number): Promise<Response> {
    // The reply ends with the isolate, so it is read first.
    const body = await response.arrayBuffer()
    await this.#douse(bundle, why, isolate)
    return new Response(body, response)
  }

  #isolate(bundle: Bundle) {
    const worker = this.env.LOADER.get(bundle.id, () => isolateCode(bundle, this.ctx, this.env))
    return this.ctx.facets.get('endpoint', async () => ({ class: worker.getDurableObjectClass('Endpoint') }))
  }

  /** The alarm is set once and re-armed when it fires early, so that a warm request costs no storage write. */
  async #armTimer(bundle: Bundle, delayMs: number): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) !== null) return
    this.ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS mounted (spec TEXT NOT NULL)')
    this.ctx.storage.sql.exec('DELETE FROM mounted')
    this.ctx.storage.sql.exec('INSERT INTO mounted (spec) VALUES (?)', JSON.stringify(bundle.env.SPEC))
    await this.ctx.storage.setAlarm(Date.now() + delayMs)
  }

  async alarm(): Promise<void> {
    const [row] = this.ctx.storage.sql.exec('SELECT spec FROM mounted').toArray()
    if (!row) return
    const bundle = await bundleOfSpec(String(row.spec))
    const now = activityOf(bundle.id)
    const setting = now.idleMs === undefined ? bundle.env.SPEC.idleMs : now.idleMs
    if (setting === null && !now.retired) return
    const restMs = now.lastUsedMs + (now.retired ? 0 : (setting ?? 0)) - Date.now()
    if (now.inFlight > 0 || restMs > 0) {
      await this.ctx.storage.setAlarm(Date.now() + Math.max(restMs, 100))
    } else if (now.state !== 'cold') {
      await this.#douse(bundle, 'idle')
    }
  }

  /** Resolves once the isolate is gone, whoever asked for its end first. */
  async #douse(bundle: Bundle, why: string, isolate = activityOf(bundle.id).isolate): Promise<void> {
    const now = activityOf(bundle.id)
    if (isolate === now.isolate && now.state !== 'cold') {
      now.state = 'cold'
      now.isolate += 1
      this.#log.append(`doused: ${why}`)
      now.gone = this.#end(bundle, why, now)
    }
    await now.gone
  }

  async #end(bundle: Bundle, why: string, now: Activity): Promise<void> {
    // The isolate ends inside this call, so the call always fails.
    await this.#isolate(bundle)
      .douse()
      .catch(() => undefined)
    this.ctx.facets.abort('endpoint', new Error(`doused: ${why}`))
    // The memory comes back only when nobody holds the isolate, and this object does for as long as it lives itself. It goes
    // once its alarm and its log are stored.
    setTimeout(async () => {
      await this.ctx.storage.sync()
      if (now.state === 'cold' && now.inFlight === 0) this.ctx.abort(replicaGone)
    }, restMs)
  }
}

/** The work ends when the caller goes away or the execution limit passes, whichever is first. */
async function withDeadline<T>(caller: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(), limits.executionMs)
  try {
    return await work(AbortSignal.any([caller, deadline.signal]))
  } catch (error) {
    throw deadline.signal.aborted ? deadlineExceeded(limits.executionMs) : error
  } finally {
    clearTimeout(timer)
  }
}

function memoryOf({ headers }: Response): ReplicaState['memory'] {
  const [heapBytes, weightsBytes] = [headers.get('x-glim-heap-bytes'), headers.get('x-glim-weights-bytes')]
  return heapBytes === null ? null : { heapBytes: Number(heapBytes), weightsBytes: Number(weightsBytes) }
}

/** The isolate's engine had stopped in the run of another request, and this one was not begun. */
function isUntried({ status, headers }: Response): boolean {
  return status === 503 && headers.has('x-glim-spent')
}

function refuse(error: unknown): Response {
  if (isServingError(error)) return Response.json(error, { status: error.status })
  throw error
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
