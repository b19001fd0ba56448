/** Every bound on what may come from outside, in one place. Errors print the value that came and the limit. */
export const limits = {
  /** One scoring request, the reference platform's figure. */
  requestBytes: 16 * 1024 * 1024,
  /** One control-plane request; models travel shard by shard and never as one body. */
  controlBytes: 4 * 1024 * 1024,
  /** JSON nesting: deeper bodies are refused before they are parsed. */
  jsonDepth: 64,
  authorizationBytes: 8 * 1024,
  /** Wall time of one invocation, cold start included. */
  executionMs: 120_000,
  /** Time for which a graph may work at a stretch: nothing else on the thread runs meanwhile. */
  runMs: 30_000,
  endpointNameLength: 63,
  modelNameLength: 255,
  servedEntities: 10,
  endpoints: 1_000,
  descriptionLength: 10_000,
  tagsPerEndpoint: 64,
  tagKeyLength: 255,
  tagValueLength: 1_000,
  /** Rows in one tabular body. */
  rows: 100_000,
  tensorRank: 16,
  tensorElements: 64 * 1024 * 1024,
  shardBytes: 1024 * 1024,
  /** The largest shard a manifest may declare. */
  maxShardBytes: 8 * 1024 * 1024,
  artifactsPerManifest: 512,
  shardsPerManifest: 65_536,
  artifactPathLength: 255,
  /** What of one model may be read as a whole into JavaScript: tokenizer, configuration, labels. */
  smallArtifactBytes: 64 * 1024 * 1024,
  /** A picture is refused from its header before a pixel is decoded. */
  imagePixels: 50_000_000,
  /** Requests that may wait for or run on one replica at once. */
  replicaQueue: 256,
  /** Numbers in the vectors of one reply: 16 MiB of them, and about 80 MB once they are JSON. */
  replyVectorNumbers: 4 * 1024 * 1024,
  /** Tokens that may wait for a text model on one replica; the fastest ones read about as many within the time of one invocation. */
  queuedTokens: 4_000_000,
  /** Text generations that may wait for room on one replica. */
  generationQueue: 64,
  /** Messages of one conversation, tools of one request, stop texts, choices. */
  messages: 1_024,
  tools: 128,
  stopTexts: 16,
  stopTextLength: 256,
  choices: 8,
  /** Characters of the JSON of what a request gives to the model's chat template. */
  templateVariableCharacters: 16 * 1024,
  topLogprobs: 20,
  logitBiases: 1_024,
  /** Characters of a grammar's JSON Schema or pattern, and its states once compiled. */
  constraintCharacters: 64 * 1024,
  constraintStates: 20_000,
  tokenLifetimeSeconds: 10 * 365 * 24 * 3600,
  /** How old a registry snapshot may be before a request checks for a newer one. */
  snapshotAgeMs: 1_000,
  /** Default memory of one endpoint isolate, as on the network. */
  isolateBytes: 128 * 1024 * 1024,
  /** Lines kept of one replica's service log. */
  serviceLogLines: 1_000,
  textCharacters: 1_000_000,
} as const
