/** `--model` and `--traffic` as the configuration of an endpoint. */
import type { ConfigRequest } from '#src/client/views.ts'
import { usage } from './failure.ts'

export interface ConfigOptions {
  models: readonly string[]
  traffic: string | undefined
  scaleToZero: boolean
}

/** @throws {Failure} 2 for a reference or a split that cannot be; whether the model exists is for the server to say. */
export function configFrom({ models, traffic, scaleToZero }: ConfigOptions): ConfigRequest {
  return {
    ...(models.length === 0
      ? {}
      : { served_entities: models.map((text) => ({ ...entityFrom(text), scale_to_zero_enabled: scaleToZero })) }),
    ...(traffic === undefined ? {} : { traffic_config: { routes: traffic.split(',').map(routeFrom) } }),
  }
}

function entityFrom(text: string): { entity_name: string; entity_version?: string } {
  const [, name, sign, rest] = /^(?:glim:)?([^/@]+)([/@])([^/@]+)$/.exec(text) ?? []
  if (name === undefined || rest === undefined) {
    throw usage(
      `--model must be NAME/VERSION or NAME@ALIAS, such as intent/1, and "${text}" came. List them with: glim models list`,
    )
  }
  return sign === '@' ? { entity_name: `${name}@${rest}` } : { entity_name: name, entity_version: rest }
}

/** The server names an entity after the last part of its model and the version: `catalog.schema.intent/1` is `intent-1`. */
function routeFrom(text: string): { served_entity_name: string; traffic_percentage: number } {
  const [, name, percentage] = /^(?:glim:)?([^=]+)=([0-9]{1,3})%?$/.exec(text.trim()) ?? []
  if (name === undefined || percentage === undefined) {
    throw usage(`--traffic must be ENTITY=PERCENT,…, such as intent/1=90,intent/2=10, and "${text}" came.`)
  }
  const [model = '', version] = name.split('/')
  const entity = version === undefined ? model : `${model.split('.').at(-1)}-${version}`
  return { served_entity_name: entity, traffic_percentage: Number(percentage) }
}
