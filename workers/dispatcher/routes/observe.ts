/** Health and metrics. */
import { isServingError, unavailable } from '#contracts/errors.ts'
import type { Endpoint } from '#contracts/registry.ts'
import { answerExample } from '#src/gateway/answer-example.ts'
import { permissionOf, permits } from '#src/registry/permission-view.ts'
import { type Call, json, type PublicCall } from '../call.ts'
import { endpointFor } from '../endpoint-access.ts'
import { specOf } from '../specs.ts'
import { versionOf } from './endpoints.ts'

/** Starters that have answered since this isolate started; asking again would keep them from idling out. */
const answered = new Set<string>()

/** GET /health: 200 once every starter endpoint has answered a query, 503 before. */
export async function health(call: PublicCall): Promise<Response> {
  const { view, services } = call
  if (services.env.EXPECT_STARTERS) {
    if (view.starters === null) throw unavailable('The starter endpoints are being installed.', 1)
    const starters = view.starters.flatMap((name) => view.endpoints.get(name) ?? [])
    await Promise.all(starters.filter(({ id }) => !answered.has(id)).map((endpoint) => probe(call, endpoint)))
  }
  return json({ status: 'ok', endpoints: view.endpoints.size })
}

/** GET …/{name}/metrics */
export async function endpointMetrics(call: Call): Promise<Response> {
  const endpoint = endpointFor(call, call.params.name!, 'CAN_VIEW')
  const entities = endpoint.active?.servedEntities ?? []
  const states = await Promise.all(
    entities.map(async (entity) => {
      const version = versionOf(call, entity)
      const spec = version && specOf(endpoint, entity, version, call.services.env.IDLE_MS)
      return [entity.name, spec ? (await call.services.host.state(spec)).inFlight : 0] as const
    }),
  )
  const log = call.services.env.INVOCATION_LOG.getByName('log')
  return text(call, await log.metrics([endpoint.id], { perEndpoint: false, concurrent: Object.fromEntries(states) }))
}

/** GET /metrics: all endpoints that the caller may see. */
export async function allMetrics(call: Call): Promise<Response> {
  const visible = [...call.view.endpoints.values()]
    .filter((endpoint) => permits(permissionOf(endpoint, call.principal), 'CAN_VIEW'))
    .map(({ id }) => id)
  return text(call, await call.services.env.INVOCATION_LOG.getByName('log').metrics(visible, { perEndpoint: true }))
}

async function probe(call: PublicCall, endpoint: Endpoint): Promise<void> {
  const { host, env } = call.services
  const entity = endpoint.active?.servedEntities[0]
  const version = entity && versionOf(call, entity)
  if (!entity || !version) throw unavailable(`The starter endpoint ${endpoint.name} is coming up.`, 1)
  try {
    const spec = specOf(endpoint, entity, version, env.IDLE_MS)
    await answerExample(version.inputExample, { host, spec, version })
    answered.add(endpoint.id)
  } catch (error) {
    throw unavailable(
      `The starter endpoint ${endpoint.name} does not answer: ${isServingError(error) ? error.message : 'it failed'}.`,
      1,
    )
  }
}

/** `# EOF` belongs to OpenMetrics only. */
function text({ request }: Call, body: string): Response {
  const open = (request.headers.get('accept') ?? '').includes('application/openmetrics-text')
  const type = open
    ? 'application/openmetrics-text; version=1.0.0; charset=utf-8'
    : 'text/plain; version=0.0.4; charset=utf-8'
  return new Response(open ? `${body}# EOF\n` : body, { headers: { 'content-type': type } })
}
