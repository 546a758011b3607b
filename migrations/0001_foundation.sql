-- Tenants, catalog, sessions and the durable record.
-- Ids are version-7 UUIDs made by the application: AAD of an encrypted column needs the id before the insert.
-- `bytea` columns named in docs/encryption.md hold envelopes (planvault.crypto.envelope).

CREATE EXTENSION IF NOT EXISTS vector;

-- ── tenants ─────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE organizations (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    settings   jsonb NOT NULL DEFAULT '{}',
    dek_wrap   text NOT NULL DEFAULT 'local',      -- which KEK provider wraps this organisation's keys
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Data keys, wrapped. `org`: the DEK; `hmac`: the key of pseudonyms. A user's own key (purpose `user`) is wrapped by the DEK.
CREATE TABLE data_keys (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    purpose    text NOT NULL CHECK (purpose IN ('org', 'hmac', 'user')),
    version    integer NOT NULL,
    wrapped    bytea NOT NULL,
    wrapped_by text NOT NULL,                       -- KEK id, or the wrapping data key's id
    status     text NOT NULL DEFAULT 'active' CHECK (status IN ('pending', 'active', 'retired')),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, purpose, version)
);

CREATE TABLE projects (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name       text NOT NULL,
    settings   jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, name)
);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    project_id   uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    name         text NOT NULL,
    key_sha256   bytea NOT NULL UNIQUE,
    preview      text NOT NULL,                     -- last four characters
    scopes       text[] NOT NULL,
    is_primary   boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE UNIQUE INDEX api_keys_one_primary ON api_keys (project_id) WHERE is_primary AND revoked_at IS NULL;

-- ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE sessions (
    id                 uuid PRIMARY KEY,
    org_id             uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    project_id         uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    shard              integer NOT NULL,
    status             text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'closed')),
    external_user_hmac bytea,
    tags               text[] NOT NULL DEFAULT '{}',
    context            bytea NOT NULL,              -- encrypted {contextVars, metadata}
    settings           jsonb NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sessions_by_project ON sessions (project_id, id DESC);
CREATE INDEX sessions_by_tag ON sessions USING gin (tags);

-- A secret belongs to an organisation, a project or a session; the narrower wins.
CREATE TABLE secrets (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    project_id uuid REFERENCES projects ON DELETE CASCADE,
    session_id uuid REFERENCES sessions ON DELETE CASCADE,
    name       text NOT NULL,
    value      bytea NOT NULL,                      -- encrypted
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (session_id IS NULL OR project_id IS NOT NULL),
    UNIQUE NULLS NOT DISTINCT (org_id, project_id, session_id, name)
);

-- ── catalog ─────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE integrations (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    alias        text NOT NULL,
    display_name text NOT NULL,
    source       text NOT NULL CHECK (source IN ('openapi', 'mcp', 'webhook', 'native')),
    base_url     text NOT NULL DEFAULT '',
    version      integer NOT NULL DEFAULT 1,        -- of the imported document
    spec_sha256  text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, alias)
);

-- A project without a row here uses the integration's defaults (enabled).
CREATE TABLE project_integrations (
    org_id          uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    project_id      uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    integration_id  uuid NOT NULL REFERENCES integrations ON DELETE CASCADE,
    enabled         boolean NOT NULL DEFAULT true,
    approval_policy text CHECK (approval_policy IN ('always', 'default', 'auto_ok')),
    auth_headers    bytea,                          -- encrypted header templates
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, integration_id)
);

-- Every version of every tool stays: a run uses the one it was planned with. `current` marks what selection may offer.
CREATE TABLE tools (
    id              uuid NOT NULL,
    version         integer NOT NULL,
    org_id          uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    integration_id  uuid NOT NULL REFERENCES integrations ON DELETE CASCADE,
    name            text NOT NULL,
    group_name      text NOT NULL,
    definition      jsonb NOT NULL,                 -- models.tools.Tool
    definition_hash text NOT NULL,
    document        text NOT NULL DEFAULT '',       -- what was embedded
    embedding       vector(384),                    -- L2-normalised; NULL until embedded
    embedding_model text,
    current         boolean NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, version)
);
CREATE UNIQUE INDEX tools_current_name ON tools (org_id, name) WHERE current;
CREATE INDEX tools_by_integration ON tools (integration_id) WHERE current;

-- One import of one document. A worker claims a queued row, and another takes it over when its lease runs out.
CREATE TABLE imports (
    id             uuid PRIMARY KEY,
    org_id         uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    integration_id uuid NOT NULL REFERENCES integrations ON DELETE CASCADE,
    status         text NOT NULL DEFAULT 'queued'
                   CHECK (status IN ('queued', 'parsing', 'embedding', 'completed', 'failed')),
    document       text,                            -- the source text, until the import ends
    spec_url       text,
    total          integer NOT NULL DEFAULT 0,      -- tools of the integration, known after parsing
    done           integer NOT NULL DEFAULT 0,      -- … that are embedded
    report         jsonb NOT NULL DEFAULT '[]',     -- models.tools.OperationReport, one an operation
    notes          jsonb NOT NULL DEFAULT '[]',     -- findings about the whole document
    error          text,
    attempts       integer NOT NULL DEFAULT 0,
    leased_until   timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz
);
CREATE INDEX imports_open ON imports (created_at) WHERE status NOT IN ('completed', 'failed');

-- ── the durable protocol ────────────────────────────────────────────────────────────────────────────────────────────

-- Live SessionHosts, in database time. Apart from shard_owner: a heartbeat must not block an append.
CREATE TABLE hosts (
    id           text PRIMARY KEY,
    build_id     text NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    draining     boolean NOT NULL DEFAULT false
);

-- Changes only on takeover; the epoch fences every append.
CREATE TABLE shard_owner (
    shard integer PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    owner text                                      -- hosts.id; NULL = released
);

-- What was asked of a session. A row is consumed by the append that applies it.
CREATE TABLE commands (
    id          uuid PRIMARY KEY,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    org_id      uuid NOT NULL,
    project_id  uuid NOT NULL,
    session_id  uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    shard       integer NOT NULL,
    kind        text NOT NULL,
    payload     bytea NOT NULL,                     -- encrypted models.commands payload
    created_at  timestamptz NOT NULL DEFAULT now(),
    consumed_at timestamptz
);
CREATE INDEX commands_waiting ON commands (shard, seq) WHERE consumed_at IS NULL;
CREATE INDEX commands_by_session ON commands (session_id);

-- The answer to a mutation, written in the same transaction as what it did.
CREATE TABLE idempotency (
    project_id  uuid NOT NULL,
    route       text NOT NULL,                      -- method and path
    key         text NOT NULL,
    org_id      uuid NOT NULL,
    body_sha256 bytea NOT NULL,
    status      integer NOT NULL,
    answer      bytea NOT NULL,                     -- encrypted response body
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, route, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

-- The session's record: gapless seq, given out by the shard's owner.
CREATE TABLE events (
    session_id     uuid NOT NULL,                   -- no foreign key: it would cost a look-up a row on the hottest path
    seq            bigint NOT NULL,
    org_id         uuid NOT NULL,
    shard          integer NOT NULL,
    epoch          bigint NOT NULL,
    type           text NOT NULL,
    visibility     text NOT NULL CHECK (visibility IN ('history', 'engine')),
    schema_version smallint NOT NULL,
    run_id         uuid,
    at             timestamptz NOT NULL,
    payload        bytea NOT NULL,                  -- encrypted
    PRIMARY KEY (session_id, seq)
);
CREATE INDEX events_snapshots ON events (session_id, seq DESC) WHERE type = 'snapshot';

-- Read model of runs, written by the same statement as the events it summarises.
CREATE TABLE runs (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL,
    project_id uuid NOT NULL,
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    shard      integer NOT NULL,
    status     text NOT NULL,
    is_open    boolean NOT NULL,
    plan_hash  text,
    detail     bytea NOT NULL,                      -- encrypted {pending, reason}
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX runs_by_session ON runs (session_id, id);
CREATE INDEX runs_by_project ON runs (project_id, id DESC);
CREATE INDEX runs_open ON runs (shard) WHERE is_open;
