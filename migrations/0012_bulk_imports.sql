-- Imports of whole folders of API descriptions as one job (docs/openapi-import.md, "Many documents at once").

-- Which document of which folder an integration stands for: its identity over re-imports. `extraction` numbers the
-- reader that read `spec_sha256`: an unchanged document is read again only by a newer one.
ALTER TABLE integrations
    ADD COLUMN catalog_prefix text,
    ADD COLUMN catalog_path   text,
    ADD COLUMN extraction     integer NOT NULL DEFAULT 0,
    ADD CHECK ((catalog_prefix IS NULL) = (catalog_path IS NULL));
CREATE UNIQUE INDEX integrations_by_path ON integrations (org_id, catalog_prefix, catalog_path);

-- Tools of several integrations are compared and retired at once; retired ones are looked for as well.
CREATE INDEX tools_of_integration ON tools (integration_id, id, version DESC);

CREATE TABLE bulk_imports (
    id               uuid PRIMARY KEY,
    org_id           uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name_prefix      text NOT NULL DEFAULT '',        -- stands before each alias
    prune            boolean NOT NULL DEFAULT false,  -- retire the tools of documents that are no longer there
    status           text NOT NULL DEFAULT 'uploading'
                     CHECK (status IN ('uploading', 'queued', 'running', 'completed', 'failed', 'cancelled')),
    stage            text NOT NULL DEFAULT 'documents' CHECK (stage IN ('documents', 'embedding', 'groups')),
    stage_started_at timestamptz,
    -- Operations (tools in `embedding`) and bytes that were done when this attempt took the stage up: its rate is its own.
    stage_began_at   integer NOT NULL DEFAULT 0,
    stage_began_bytes bigint NOT NULL DEFAULT 0,
    to_embed         integer NOT NULL DEFAULT 0,
    embedded         integer NOT NULL DEFAULT 0,
    timings          jsonb NOT NULL DEFAULT '{}',     -- seconds by stage that has ended
    error            text,
    attempts         integer NOT NULL DEFAULT 0,      -- fences: a later claim raises it
    leased_until     timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    finished_at      timestamptz
);
CREATE INDEX bulk_imports_open ON bulk_imports (created_at) WHERE status IN ('uploading', 'queued', 'running');
CREATE INDEX bulk_imports_by_org ON bulk_imports (org_id, id DESC);

CREATE TABLE bulk_import_documents (
    import_id      uuid NOT NULL REFERENCES bulk_imports ON DELETE CASCADE,
    org_id         uuid NOT NULL,
    path           text NOT NULL COLLATE "C",
    alias          text,                              -- given when the job starts
    sha256         text NOT NULL,                     -- hex, of the bytes as they were sent
    size           bigint NOT NULL,                   -- of those bytes
    body           bytea,                             -- zlib; until the document is stored, refused or cancelled
    status         text NOT NULL DEFAULT 'waiting'
                   CHECK (status IN ('waiting', 'stored', 'unchanged', 'refused', 'vanished')),
    integration_id uuid,
    created        integer NOT NULL DEFAULT 0,        -- operations by outcome
    updated        integer NOT NULL DEFAULT 0,
    unchanged      integer NOT NULL DEFAULT 0,
    removed        integer NOT NULL DEFAULT 0,
    skipped        integer NOT NULL DEFAULT 0,
    PRIMARY KEY (import_id, path)
);
-- It is compressed already.
ALTER TABLE bulk_import_documents ALTER COLUMN body SET STORAGE EXTERNAL;

-- What somebody may want to read of a job: refused documents (operation empty), and operations that were left out, lost
-- something on the way, or are no longer there.
CREATE TABLE bulk_import_findings (
    import_id uuid NOT NULL REFERENCES bulk_imports ON DELETE CASCADE,
    path      text NOT NULL COLLATE "C",
    position  integer NOT NULL,                       -- within the document
    operation text NOT NULL,
    outcome   text NOT NULL CHECK (outcome IN ('created', 'updated', 'unchanged', 'removed', 'skipped', 'refused')),
    tool      text,
    problems  text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (import_id, path, position)
);
