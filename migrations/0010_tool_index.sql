-- What selection reads of the catalog: one narrow row a tool. `tools` keeps the definitions of every version; what is
-- searched lives here, so that a scan reads no definition and an unchanged text is never embedded again.

-- A row an organisation. `revision` grows with each transaction that changes what its projects may be offered; whoever
-- changes the index holds this row's lock until it commits, so that revisions become visible in their order.
CREATE TABLE catalog_revision (
    org_id   uuid PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
    revision bigint NOT NULL DEFAULT 0,
    tools    integer NOT NULL DEFAULT 0             -- active ones, of all integrations
);

-- A row an integration that has or had tools: a copy of the index refreshes only where `revision` has grown.
CREATE TABLE integration_revision (
    integration_id uuid PRIMARY KEY REFERENCES integrations ON DELETE CASCADE,
    org_id         uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    revision       bigint NOT NULL,
    tools          integer NOT NULL DEFAULT 0       -- active ones
);
CREATE INDEX integration_revision_by_org ON integration_revision (org_id);

-- How many active tools of the organisation hold a lexeme (BM25's inverse document frequency), and how many as one of
-- the few that say most about them: a common word is looked for among those alone.
CREATE TABLE lexeme_stats (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    lexeme text COLLATE "C" NOT NULL,
    tools  integer NOT NULL,
    strong integer NOT NULL,
    PRIMARY KEY (org_id, lexeme)
);

-- A retired tool keeps its row, inactive, with its vector: it may come back.
CREATE TABLE tool_index (
    tool_id         uuid PRIMARY KEY,
    org_id          uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    integration_id  uuid NOT NULL REFERENCES integrations ON DELETE CASCADE,
    group_id        uuid,                           -- of tool_group_centroids; NULL until grouped
    active          boolean NOT NULL,
    version         integer NOT NULL,               -- of tools: the one that is offered
    entry_revision  smallint NOT NULL DEFAULT 0,    -- of the rules that made the columns from `lexemes` on; 0: not yet made
    revision        bigint NOT NULL DEFAULT 0,      -- of catalog_revision when the row last changed
    document_sha256 bytea NOT NULL,                 -- of tools.document, the text to embed
    embedded_sha256 bytea,                          -- of the text that `embedding` was made of
    embedding_model text,
    embedding       vector(384),                    -- L2-normalised; NULL until embedded
    name            text NOT NULL,
    group_name      text NOT NULL,
    impacts         sparsevec,                      -- BM25 weights by lexeme number (planvault.storage.index_entries)
    requires        text[] NOT NULL DEFAULT '{}',
    produces        text[] NOT NULL DEFAULT '{}',
    -- The organisation's key (eleven characters) and `:lexeme`, `!lexeme` for the strongest, `>entity` that it produces.
    lexemes         tsvector
);
-- Vectors and weights stay in the row: a scan that compares thousands of them follows no pointer. The lexemes are read
-- through their index alone and may move out.
ALTER TABLE tool_index ALTER COLUMN embedding SET STORAGE PLAIN;
ALTER TABLE tool_index ALTER COLUMN impacts SET STORAGE MAIN;

INSERT INTO tool_index (tool_id, org_id, integration_id, active, version, document_sha256, embedded_sha256,
                        embedding_model, embedding, name, group_name)
SELECT DISTINCT ON (id) id, org_id, integration_id, current, version, sha256(convert_to(document, 'UTF8')),
       CASE WHEN embedding IS NOT NULL THEN sha256(convert_to(document, 'UTF8')) END,
       CASE WHEN embedding IS NOT NULL THEN embedding_model END, embedding, name, group_name
FROM tools ORDER BY id, version DESC;

INSERT INTO catalog_revision (org_id, tools)
SELECT org_id, count(*) FILTER (WHERE active) FROM tool_index GROUP BY org_id;
INSERT INTO integration_revision (integration_id, org_id, revision, tools)
SELECT integration_id, org_id, 0, count(*) FILTER (WHERE active) FROM tool_index GROUP BY integration_id, org_id;

ALTER TABLE tools DROP COLUMN embedding, DROP COLUMN embedding_model;

CREATE INDEX tool_index_by_integration ON tool_index (org_id, integration_id, tool_id);
-- No approximate index over the vectors. HNSW took 2.1 ms for each row written, and again for each later change of any
-- column, as much as half of embedding it; what it would be for, a large catalog, is searched group by group, exactly.
CREATE INDEX tool_index_by_group ON tool_index (org_id, group_id) WHERE active;
-- The organisation's key is the beginning of every lexeme: the scan of this index itself is one organisation's.
-- What waits to be sorted in, everybody's, is read by each scan: 0.7 ms for a thousand rows. So little may wait; nothing
-- waiting at all would make a write four times as dear.
CREATE INDEX tool_index_lexemes ON tool_index USING gin (lexemes) WITH (gin_pending_list_limit = 512) WHERE active;
-- Rows that an older release made, or that the statement above has moved: their entries are made anew.
CREATE INDEX tool_index_to_make ON tool_index (entry_revision, org_id, tool_id) WHERE active;

-- Tools go with their integration, whoever deletes it: the numbers above go along.
CREATE FUNCTION tools_left_the_index() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_revision c SET revision = revision + 1, tools = c.tools - gone.tools
    FROM (SELECT org_id, count(*) FILTER (WHERE active) AS tools FROM gone_rows GROUP BY org_id) AS gone
    WHERE c.org_id = gone.org_id;
    UPDATE integration_revision i SET revision = c.revision, tools = i.tools - gone.tools
    FROM (SELECT org_id, integration_id, count(*) FILTER (WHERE active) AS tools
          FROM gone_rows GROUP BY org_id, integration_id) AS gone
    JOIN catalog_revision c ON c.org_id = gone.org_id
    WHERE i.integration_id = gone.integration_id;
    UPDATE lexeme_stats s SET tools = s.tools - gone.tools, strong = s.strong - gone.strong
    FROM (SELECT org_id, substr(key, 13) AS lexeme, count(*) FILTER (WHERE substr(key, 12, 1) = ':') AS tools,
                 count(*) FILTER (WHERE substr(key, 12, 1) = '!') AS strong
          FROM gone_rows, unnest(tsvector_to_array(lexemes)) AS key
          WHERE active GROUP BY org_id, substr(key, 13)) AS gone
    WHERE s.org_id = gone.org_id AND s.lexeme = gone.lexeme;
    DELETE FROM lexeme_stats s USING (SELECT DISTINCT org_id FROM gone_rows) AS gone
    WHERE s.org_id = gone.org_id AND s.tools <= 0;
    RETURN NULL;
END
$$;
CREATE TRIGGER tools_left_the_index AFTER DELETE ON tool_index
    REFERENCING OLD TABLE AS gone_rows
    FOR EACH STATEMENT EXECUTE FUNCTION tools_left_the_index();
