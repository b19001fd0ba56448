/** Asking a model about its input example, a native body: rows or tensors for most tasks, `messages` or `prompt` for one that writes text. */
import type { EndpointSpec } from '#contracts/bundle.ts'
import type { Host } from '#contracts/host.ts'
import type { ModelVersion } from '#contracts/registry.ts'
import { collectGeneration } from './collect-generation.ts'
import { nativeRequest } from './dialects/native.ts'
import { isGenerationBody } from './dialects/native-generation.ts'
import { openaiChat } from './dialects/openai-chat.ts'
import { openaiCompletions } from './dialects/openai-completions.ts'

/**
 * Resolves to the milliseconds that the engine took, once the model has answered.
 *
 * @throws {ServingError} 400 for an example that is none, or that the model refuses.
 */
export async function answerExample(
  body: unknown,
  { host, spec, version }: { host: Host; spec: EndpointSpec; version: Pick<ModelVersion, 'task' | 'signature'> },
): Promise<number> {
  if (version.task !== 'text-generation' || !isGenerationBody(body)) {
    const { usage } = await host.run(spec, nativeRequest(body, version))
    return usage.runMs
  }
  const dialect = Object.hasOwn(body, 'messages') ? openaiChat : openaiCompletions
  const context = { requestId: 'example', model: 'example', tenant: spec.owner, fingerprint: '', createdMs: 0 }
  const [request] = dialect({ ...body, stream: false }, context).requests
  const { usage } = await collectGeneration(await host.generate(spec, request!), request!.choices)
  return usage.ttftMs + usage.decodeMs - usage.loadMs
}
