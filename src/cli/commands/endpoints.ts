/** `glim endpoints …` */
import type { GlimClient } from '#src/client/client.ts'
import type { ConfigRequest, ConfigView, EndpointView } from '#src/client/views.ts'
import { type Command, defineCommand, type OptionSpec, type Result } from '../command.ts'
import { deployed } from '../deployment.ts'
import { configFrom } from '../endpoint-config.ts'
import { usage } from '../failure.ts'
import { table, timeText } from '../table.ts'
import type { Terminal } from '../terminal.ts'

const endpointName = { name: 'NAME', help: 'name of the endpoint' }

const configOptions = {
  model: {
    type: 'string',
    value: 'NAME/VERSION',
    multiple: true,
    help: 'what it serves: NAME/VERSION or NAME@ALIAS; several for a traffic split',
  },
  traffic: {
    type: 'string',
    value: 'A=50,B=50',
    help: 'percentage of the requests for each of several models; they sum to 100',
  },
  'no-scale-to-zero': { type: 'boolean', help: 'keep it warm while nobody calls it' },
  'no-wait': { type: 'boolean', help: 'return once the configuration is accepted, not once it answers' },
} as const satisfies Record<string, OptionSpec>

const createCommand = defineCommand({
  name: 'endpoints create',
  summary: 'serve a model under a name',
  arguments: [endpointName],
  options: configOptions,
  examples: [
    'glim endpoints create my-endpoint --model intent/1',
    'glim endpoints create split --model intent/1 --model intent/2 --traffic intent/1=90,intent/2=10',
  ],
  async run({ args, values, client, terminal }) {
    const [name] = args as [string]
    if (values.model.length === 0)
      throw usage('--model is missing: what does the endpoint serve? List the models with: glim models list')
    const server = client()
    const created = await server.createEndpoint(name, configFrom(optionsOf(values)))
    return changed(created, { client: server, terminal, wait: !values['no-wait'] })
  },
})

const updateCommand = defineCommand({
  name: 'endpoints update',
  summary: 'change what an endpoint serves, or how it splits the traffic',
  details: 'What answers now goes on answering until everything new is up; if that fails, it simply stays.',
  arguments: [endpointName],
  options: {
    ...configOptions,
    'scale-to-zero': { type: 'boolean', help: 'douse it after the idle time again' },
  },
  examples: [
    'glim endpoints update my-endpoint --model intent/2',
    'glim endpoints update my-endpoint --no-scale-to-zero',
    'glim endpoints update split --traffic intent/1=50,intent/2=50',
  ],
  async run({ args, values, client, terminal }) {
    const [name] = args as [string]
    const keepsWarm = values['no-scale-to-zero']
    const scales = values['scale-to-zero']
    if (values.model.length === 0 && values.traffic === undefined && !keepsWarm && !scales)
      throw usage('Nothing to change: give --model, --traffic, --scale-to-zero or --no-scale-to-zero.')
    const server = client()
    const updated = await server.updateConfig(name, await updateFrom(name, values, server))
    return changed(updated, { client: server, terminal, wait: !values['no-wait'] })
  },
})

const listCommand = defineCommand({
  name: 'endpoints list',
  summary: 'list the endpoints',
  arguments: [],
  options: {},
  examples: ['glim endpoints list'],
  async run({ client, terminal }) {
    const server = client()
    const endpoints: EndpointView[] = []
    for (const { name } of await server.listEndpoints()) endpoints.push(await server.getEndpoint(name))
    const rows = endpoints.map(({ name, state_summary, config, pending_config }) => [
      name,
      modelsOf(config ?? pending_config),
      trafficOf(config ?? pending_config),
      state_summary,
    ])
    const text =
      rows.length > 0
        ? table(['NAME', 'MODEL', 'TRAFFIC', 'STATE'], rows, terminal.bold)
        : 'There are no endpoints. Create one with: glim endpoints create NAME --model NAME/VERSION'
    return { value: { endpoints }, text }
  },
})

const showCommand = defineCommand({
  name: 'endpoints show',
  summary: 'show one endpoint',
  arguments: [endpointName],
  options: {},
  examples: ['glim endpoints show intent'],
  async run({ args, client }) {
    const endpoint = await client().getEndpoint(args[0]!)
    return { value: endpoint, text: endpointText(endpoint) }
  },
})

const deleteCommand = defineCommand({
  name: 'endpoints delete',
  summary: 'delete an endpoint; its models stay',
  arguments: [endpointName],
  options: {},
  examples: ['glim endpoints delete my-endpoint'],
  async run({ args, client }) {
    await client().deleteEndpoint(args[0]!)
    return { value: { deleted: args[0] }, text: `Deleted endpoint ${args[0]}.` }
  },
})

export const endpointCommands: readonly Command[] = [
  createCommand,
  listCommand,
  showCommand,
  updateCommand,
  deleteCommand,
]

/** What is not said stays as it is, the scaling too. */
async function updateFrom(
  name: string,
  values: Parameters<typeof optionsOf>[0] & { 'scale-to-zero': boolean },
  server: GlimClient,
): Promise<ConfigRequest> {
  const { config } = await server.getEndpoint(name)
  const entities = config?.served_entities ?? []
  const wasWarm = entities.some((entity) => entity.scale_to_zero_enabled === false)
  const scaleToZero = values['scale-to-zero'] || !(values['no-scale-to-zero'] || wasWarm)
  if (values.model.length > 0) return configFrom({ ...optionsOf(values), scaleToZero })
  const changed = configFrom({ ...optionsOf(values), scaleToZero })
  if (scaleToZero !== wasWarm) return changed
  const kept = entities.map(({ entity_name, entity_version }) => `${entity_name}/${entity_version}`)
  const traffic_config = changed.traffic_config ?? config?.traffic_config
  return {
    ...configFrom({ models: kept, traffic: undefined, scaleToZero }),
    ...(traffic_config ? { traffic_config } : {}),
  }
}

function optionsOf(values: { model: readonly string[]; traffic: string | undefined; 'no-scale-to-zero': boolean }) {
  return { models: values.model, traffic: values.traffic, scaleToZero: !values['no-scale-to-zero'] }
}

async function changed(
  endpoint: EndpointView,
  options: { client: GlimClient; terminal: Terminal; wait: boolean },
): Promise<Result> {
  const { client, terminal, wait } = options
  const now = wait
    ? await deployed(endpoint.name, { client, onState: (summary) => terminal.progress(summary) })
    : endpoint
  terminal.progress(null)
  const next = wait ? `Ask it with: glim invoke ${now.name} JSON` : `Look at it with: glim endpoints show ${now.name}`
  return { value: now, text: `${endpointText(now)}\n${next}` }
}

function endpointText(endpoint: EndpointView): string {
  const { name, state_summary, task, config, pending_config, endpoint_url, creator, creation_timestamp } = endpoint
  const serving = config ?? pending_config
  return [
    `${name}: ${state_summary}`,
    ...(task ? [`  task     ${task}`] : []),
    `  model    ${modelsOf(serving)}`,
    `  traffic  ${trafficOf(serving)}`,
    ...(config && pending_config ? [`  next     ${modelsOf(pending_config)}`] : []),
    ...(endpoint_url ? [`  url      ${endpoint_url}`] : []),
    `  created  ${timeText(creation_timestamp)} by ${creator}`,
  ].join('\n')
}

function modelsOf(config: ConfigView | undefined): string {
  return (
    config?.served_entities.map(({ entity_name, entity_version }) => `${entity_name}/${entity_version}`).join(' ') ||
    '-'
  )
}

function trafficOf(config: ConfigView | undefined): string {
  return (
    config?.traffic_config?.routes
      .map(({ served_entity_name, traffic_percentage }) => `${served_entity_name}=${traffic_percentage}`)
      .join(',') || '-'
  )
}
