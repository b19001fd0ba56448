/** Every route there is: method, path, who may come in, and the shape of its errors. Tests walk this table. */
import type { Route } from './call.ts'
import * as endpoints from './routes/endpoints.ts'
import * as generation from './routes/generation.ts'
import * as query from './routes/invocations.ts'
import * as models from './routes/models.ts'
import * as observe from './routes/observe.ts'
import * as permissions from './routes/permissions.ts'
import * as tokens from './routes/tokens.ts'

const api = '/api/2.0/serving-endpoints'
const acl = '/api/2.0/permissions/serving-endpoints/:id'
const glim = '/api/2.0/glim'

// biome-ignore format: a table is read by its columns
export const routes: readonly Route[] = [
  // Queries first: they are the hot path.
  { method: 'POST', path: '/serving-endpoints/:name/invocations', access: 'token', dialect: 'native', handle: query.invoke },
  { method: 'POST', path: '/v1/embeddings', access: 'token', dialect: 'openai', handle: query.embeddings },
  { method: 'POST', path: '/v1/chat/completions', access: 'token', dialect: 'openai', handle: generation.chatCompletions },
  { method: 'POST', path: '/v1/completions', access: 'token', dialect: 'openai', handle: generation.completions },
  { method: 'POST', path: '/v1/responses', access: 'token', dialect: 'openai', handle: generation.responses },
  { method: 'POST', path: '/serving-endpoints/chat/completions', access: 'token', dialect: 'openai', handle: generation.chatCompletions },
  { method: 'POST', path: '/serving-endpoints/completions', access: 'token', dialect: 'openai', handle: generation.completions },
  { method: 'POST', path: '/serving-endpoints/responses', access: 'token', dialect: 'openai', handle: generation.responses },
  { method: 'POST', path: '/v1/messages', access: 'token', dialect: 'anthropic', handle: generation.messages },
  { method: 'POST', path: '/v1/messages/count_tokens', access: 'token', dialect: 'anthropic', handle: generation.countTokens },
  { method: 'POST', path: '/v2/models/:name/infer', access: 'token', dialect: 'open-inference', handle: query.openInferenceInfer },
  { method: 'POST', path: '/serving-endpoints/embeddings', access: 'token', dialect: 'openai', handle: query.embeddings },
  { method: 'POST', path: '/serving-endpoints/:name/served-models/:entity/invocations', access: 'token', dialect: 'native', handle: query.invoke },
  { method: 'POST', path: '/v2/models/:name/versions/:version/infer', access: 'token', dialect: 'open-inference', handle: query.openInferenceInfer },

  { method: 'GET', path: '/health', access: 'public', dialect: 'native', handle: observe.health },
  { method: 'GET', path: '/metrics', access: 'token', dialect: 'native', handle: observe.allMetrics },

  { method: 'POST', path: api, access: 'token', dialect: 'native', handle: endpoints.createEndpoint },
  { method: 'GET', path: api, access: 'token', dialect: 'native', handle: endpoints.listEndpoints },
  { method: 'GET', path: `${api}/:name`, access: 'token', dialect: 'native', handle: endpoints.getEndpoint },
  { method: 'DELETE', path: `${api}/:name`, access: 'token', dialect: 'native', handle: endpoints.deleteEndpoint },
  { method: 'PUT', path: `${api}/:name/config`, access: 'token', dialect: 'native', handle: endpoints.updateConfig },
  { method: 'PATCH', path: `${api}/:name/tags`, access: 'token', dialect: 'native', handle: endpoints.updateTags },
  { method: 'PATCH', path: `${api}/:name/notifications`, access: 'token', dialect: 'native', handle: endpoints.updateNotifications },
  { method: 'GET', path: `${api}/:name/metrics`, access: 'token', dialect: 'native', handle: observe.endpointMetrics },
  { method: 'GET', path: `${api}/:name/openapi`, access: 'token', dialect: 'native', handle: endpoints.getOpenapi },
  { method: 'GET', path: `${api}/:name/served-models/:entity/build-logs`, access: 'token', dialect: 'native', handle: endpoints.getBuildLogs },
  { method: 'GET', path: `${api}/:name/served-models/:entity/logs`, access: 'token', dialect: 'native', handle: endpoints.getServiceLogs },
  { method: 'POST', path: `${api}/:name/invocations`, access: 'token', dialect: 'native', handle: query.invoke },
  { method: 'PUT', path: `${api}/:name/ai-gateway`, access: 'token', dialect: 'native', handle: query.unbuilt },
  { method: 'PUT', path: `${api}/:name/rate-limits`, access: 'token', dialect: 'native', handle: query.unbuilt },
  { method: 'PATCH', path: `${api}/:name/telemetry-config`, access: 'token', dialect: 'native', handle: query.unbuilt },
  { method: 'PATCH', path: `${api}/:name/system-metrics-export-state`, access: 'token', dialect: 'native', handle: query.unbuilt },
  { method: 'POST', path: `${api}/pt`, access: 'token', dialect: 'native', handle: query.unbuilt },
  { method: 'PUT', path: `${api}/pt/:name/config`, access: 'token', dialect: 'native', handle: query.unbuilt },
  { method: 'POST', path: '/api/2.0/external-function', access: 'token', dialect: 'native', handle: query.unbuilt },

  { method: 'GET', path: acl, access: 'token', dialect: 'native', handle: permissions.getPermissions },
  { method: 'PUT', path: acl, access: 'token', dialect: 'native', handle: permissions.setPermissions },
  { method: 'PATCH', path: acl, access: 'token', dialect: 'native', handle: permissions.updatePermissions },
  { method: 'GET', path: `${acl}/permissionLevels`, access: 'token', dialect: 'native', handle: permissions.getPermissionLevels },

  { method: 'POST', path: '/api/2.0/token/create', access: 'token', dialect: 'native', handle: tokens.createToken },
  { method: 'GET', path: '/api/2.0/token/list', access: 'token', dialect: 'native', handle: tokens.listTokens },
  { method: 'POST', path: '/api/2.0/token/delete', access: 'token', dialect: 'native', handle: tokens.deleteToken },
  { method: 'GET', path: '/api/2.0/preview/scim/v2/Me', access: 'token', dialect: 'native', handle: tokens.whoAmI },

  { method: 'PUT', path: `${glim}/blobs/:digest`, access: 'token', dialect: 'native', handle: models.putBlob },
  { method: 'POST', path: `${glim}/blobs/missing`, access: 'token', dialect: 'native', handle: models.missingBlobs },
  { method: 'POST', path: `${glim}/models/import`, access: 'token', dialect: 'native', handle: models.postImport },
  { method: 'POST', path: `${glim}/models/gc`, access: 'token', dialect: 'native', handle: models.collectGarbage },
  { method: 'GET', path: `${glim}/models`, access: 'token', dialect: 'native', handle: models.listModels },
  { method: 'GET', path: `${glim}/models/:name`, access: 'token', dialect: 'native', handle: models.getModel },
  { method: 'DELETE', path: `${glim}/models/:name`, access: 'token', dialect: 'native', handle: models.deleteModel },
  { method: 'GET', path: `${glim}/models/:name/versions/:version`, access: 'token', dialect: 'native', handle: models.getVersion },
  { method: 'DELETE', path: `${glim}/models/:name/versions/:version`, access: 'token', dialect: 'native', handle: models.deleteVersion },
  { method: 'PUT', path: `${glim}/models/:name/aliases/:alias`, access: 'token', dialect: 'native', handle: models.putAlias },
  { method: 'DELETE', path: `${glim}/models/:name/aliases/:alias`, access: 'token', dialect: 'native', handle: models.deleteAlias },
  { method: 'GET', path: `${glim}/starters`, access: 'token', dialect: 'native', handle: models.getStarters },
  { method: 'PUT', path: `${glim}/starters`, access: 'token', dialect: 'native', handle: models.putStarters },

  { method: 'GET', path: '/v1/models', access: 'token', dialect: 'openai', handle: query.listOpenaiModels },
  { method: 'GET', path: '/v1/models/:name', access: 'token', dialect: 'openai', handle: query.getOpenaiModel },
  { method: 'GET', path: '/v1/responses/:id', access: 'token', dialect: 'openai', handle: generation.getResponse },
  { method: 'GET', path: '/v1/responses/:id/input_items', access: 'token', dialect: 'openai', handle: generation.listInputItems },
  { method: 'DELETE', path: '/v1/responses/:id', access: 'token', dialect: 'openai', handle: generation.deleteResponse },
  { method: 'GET', path: '/serving-endpoints/responses/:id', access: 'token', dialect: 'openai', handle: generation.getResponse },
  { method: 'GET', path: '/serving-endpoints/responses/:id/input_items', access: 'token', dialect: 'openai', handle: generation.listInputItems },
  { method: 'DELETE', path: '/serving-endpoints/responses/:id', access: 'token', dialect: 'openai', handle: generation.deleteResponse },

  { method: 'GET', path: '/v2', access: 'token', dialect: 'open-inference', handle: query.openInferenceServer },
  { method: 'GET', path: '/v2/health/live', access: 'token', dialect: 'open-inference', handle: query.openInferenceLive },
  { method: 'GET', path: '/v2/health/ready', access: 'token', dialect: 'open-inference', handle: query.openInferenceReady },
  { method: 'GET', path: '/v2/models/:name', access: 'token', dialect: 'open-inference', handle: query.openInferenceModel },
  { method: 'GET', path: '/v2/models/:name/ready', access: 'token', dialect: 'open-inference', handle: query.openInferenceModelReady },
  { method: 'GET', path: '/v2/models/:name/versions/:version', access: 'token', dialect: 'open-inference', handle: query.openInferenceModel },
  { method: 'GET', path: '/v2/models/:name/versions/:version/ready', access: 'token', dialect: 'open-inference', handle: query.openInferenceModelReady },
]
