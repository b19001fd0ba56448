/**
 * The schema as the list of steps that made it. A step that has been released is never edited: a change is a new step at
 * the end. `docs/storage-schema.md` describes the result.
 *
 * Foreign keys cascade, so that what belongs to an endpoint or a model goes with it; both databases enforce them.
 */
export interface Migration {
  name: string
  /** One statement each. */
  statements: readonly string[]
}

const tokensAndModels: Migration = {
  name: 'tokens and models',
  statements: [
    `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID`,
    `INSERT INTO meta (key, value) VALUES ('revision', '1')`,
    `CREATE TABLE tokens (
      token_id TEXT PRIMARY KEY,
      hash TEXT NOT NULL UNIQUE,
      principal_name TEXT NOT NULL,
      principal_kind TEXT NOT NULL CHECK (principal_kind IN ('user', 'service_principal')),
      principal_groups TEXT NOT NULL,
      comment TEXT NOT NULL,
      created_ms INTEGER NOT NULL,
      expires_ms INTEGER
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE models (
      name TEXT PRIMARY KEY,
      comment TEXT NOT NULL,
      created_ms INTEGER NOT NULL,
      updated_ms INTEGER NOT NULL,
      creator TEXT NOT NULL,
      last_version INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE versions (
      model TEXT NOT NULL REFERENCES models (name) ON DELETE CASCADE,
      version INTEGER NOT NULL,
      manifest TEXT NOT NULL,
      task TEXT NOT NULL,
      graph TEXT NOT NULL,
      options TEXT NOT NULL,
      signature TEXT NOT NULL,
      input_example TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      heap_bytes INTEGER NOT NULL,
      source TEXT NOT NULL,
      comment TEXT NOT NULL,
      created_ms INTEGER NOT NULL,
      creator TEXT NOT NULL,
      PRIMARY KEY (model, version)
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE aliases (
      model TEXT NOT NULL,
      alias TEXT NOT NULL,
      version INTEGER NOT NULL,
      PRIMARY KEY (model, alias),
      FOREIGN KEY (model, version) REFERENCES versions (model, version) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID`,
  ],
}

const endpoints: Migration = {
  name: 'endpoints',
  statements: [
    `CREATE TABLE endpoints (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      creator TEXT NOT NULL,
      creator_kind TEXT NOT NULL CHECK (creator_kind IN ('user', 'service_principal')),
      created_ms INTEGER NOT NULL,
      updated_ms INTEGER NOT NULL,
      description TEXT NOT NULL,
      route_optimized INTEGER NOT NULL,
      budget_policy_id TEXT,
      email_notifications TEXT NOT NULL,
      config_update TEXT NOT NULL,
      active_version INTEGER,
      pending_version INTEGER,
      last_version INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE endpoint_configs (
      endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
      version INTEGER NOT NULL,
      started_ms INTEGER NOT NULL,
      routes TEXT NOT NULL,
      auto_capture TEXT,
      PRIMARY KEY (endpoint_id, version)
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE served_entities (
      endpoint_id TEXT NOT NULL,
      config_version INTEGER NOT NULL,
      name TEXT NOT NULL,
      position INTEGER NOT NULL,
      entity_name TEXT NOT NULL,
      entity_version INTEGER NOT NULL,
      echo TEXT NOT NULL,
      scale_to_zero INTEGER NOT NULL,
      creator TEXT NOT NULL,
      created_ms INTEGER NOT NULL,
      state TEXT NOT NULL,
      state_message TEXT NOT NULL,
      PRIMARY KEY (endpoint_id, config_version, name),
      FOREIGN KEY (endpoint_id, config_version) REFERENCES endpoint_configs (endpoint_id, version) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID`,
    `CREATE INDEX served_entities_by_version ON served_entities (entity_name, entity_version)`,
    `CREATE TABLE tags (
      endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
      key TEXT NOT NULL,
      value TEXT,
      PRIMARY KEY (endpoint_id, key)
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE grants (
      endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
      kind TEXT NOT NULL CHECK (kind IN ('user_name', 'group_name', 'service_principal_name')),
      name TEXT NOT NULL,
      level TEXT NOT NULL CHECK (level IN ('CAN_VIEW', 'CAN_QUERY', 'CAN_MANAGE')),
      PRIMARY KEY (endpoint_id, kind, name)
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE build_logs (
      line INTEGER PRIMARY KEY,
      endpoint_id TEXT NOT NULL,
      config_version INTEGER NOT NULL,
      entity TEXT NOT NULL,
      at_ms INTEGER NOT NULL,
      text TEXT NOT NULL,
      FOREIGN KEY (endpoint_id, config_version, entity)
        REFERENCES served_entities (endpoint_id, config_version, name) ON DELETE CASCADE
    ) STRICT`,
    `CREATE INDEX build_logs_by_entity ON build_logs (endpoint_id, config_version, entity, line)`,
  ],
}

const capabilities: Migration = {
  name: 'capabilities',
  statements: [`ALTER TABLE versions ADD COLUMN capabilities TEXT NOT NULL DEFAULT 'null'`],
}

export const migrations: readonly Migration[] = [tokensAndModels, endpoints, capabilities]
