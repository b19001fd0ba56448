/**
 * One invocation from an authorised request to a settled reply, in its fixed order: choose the entity, translate the body,
 * run, record. The execution limit is the host's, which ends what runs too long. Whatever happens, exactly one row is recorded.
 */
import type { InvocationReply, InvocationRequest } from '#contracts/invocation.ts'
import type { ModelVersion } from '#contracts/registry.ts'
import { chooseTarget, type Target } from './choose-target.ts'
import { beginOutcome, failureOf, type Inquiry, rowOf, type ServeOptions } from './settle.ts'

export interface Invocation extends Inquiry {
  /**
   * Whether the caller has gone away. Asked only once something failed: making a signal for every request and handing it on costs a
   * tenth of what a request may cost the dispatcher, and when the runtime drops a request it drops what the request asked for.
   */
  isAborted(): boolean
  /** Reads the caller's body as a request to the chosen version; sets `clientRequestId` where the body has one. */
  translate(version: ModelVersion): Promise<InvocationRequest>
}

export interface Served extends Target {
  reply: InvocationReply
}

/** @throws {ServingError} */
export async function serve(invocation: Invocation, options: ServeOptions): Promise<Served> {
  const { endpoint } = invocation
  const outcome = beginOutcome(options.now())
  try {
    const { entity, version } = chooseTarget(endpoint, options, outcome)
    const request = await invocation.translate(version)
    const reply = await options.host.run(options.specOf(endpoint, entity, version), request)
    const { promptTokens, runMs, loadMs } = reply.usage
    Object.assign(outcome, { promptTokens, runMs, loadMs })
    return { entity, version, reply }
  } catch (error) {
    throw failureOf(error, invocation.isAborted(), outcome)
  } finally {
    options.record(rowOf(invocation, outcome, options.now()))
  }
}
