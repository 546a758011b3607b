Writes of the index that selection searches (planvault.storage.tool_index). $1 is always the organisation.

-- name: hold_integrations
-- An integration that is being deleted is waited for here, before the organisation's index is locked.
SELECT id FROM integrations WHERE org_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR KEY SHARE

-- name: next_revision
-- Whoever changes the index holds this row until it commits.
INSERT INTO catalog_revision (org_id, revision) VALUES ($1, 1)
ON CONFLICT (org_id) DO UPDATE SET revision = catalog_revision.revision + 1
RETURNING revision

-- name: mark_integrations
INSERT INTO integration_revision (integration_id, org_id, revision)
SELECT i.id, i.org_id, $3 FROM integrations i WHERE i.org_id = $1 AND i.id = ANY($2::uuid[])
ON CONFLICT (integration_id) DO UPDATE SET revision = excluded.revision

-- name: incoming
CREATE TEMP TABLE IF NOT EXISTS tool_index_incoming (
    tool_id uuid PRIMARY KEY, integration_id uuid, version integer, entry_revision smallint, document_sha256 bytea,
    name text, group_name text, impacts sparsevec, requires text[], produces text[], lexemes text[]
) ON COMMIT DROP;
TRUNCATE pg_temp.tool_index_incoming;

-- name: keep_what_is_to_make
DELETE FROM pg_temp.tool_index_incoming i WHERE NOT EXISTS (
    SELECT FROM tool_index t
    WHERE t.org_id = $1 AND t.tool_id = i.tool_id AND t.active AND t.version = i.version
      AND t.entry_revision < i.entry_revision)

-- name: count_incoming_lexemes
-- What these tools held until now goes, what they hold from now on comes; only differences are written.
WITH delta AS (
    SELECT substr(key, 13) AS lexeme, sum(n) FILTER (WHERE substr(key, 12, 1) = ':') AS tools,
           sum(n) FILTER (WHERE substr(key, 12, 1) = '!') AS strong
    FROM (
        SELECT key, -1 AS n
        FROM pg_temp.tool_index_incoming i
        JOIN tool_index t ON t.tool_id = i.tool_id AND t.org_id = $1 AND t.active,
             unnest(tsvector_to_array(t.lexemes)) AS key
        UNION ALL
        SELECT key, 1 FROM pg_temp.tool_index_incoming i, unnest(i.lexemes) AS key
    ) AS held
    WHERE substr(key, 12, 1) IN (':', '!') GROUP BY substr(key, 13))
INSERT INTO lexeme_stats (org_id, lexeme, tools, strong)
SELECT $1, lexeme, coalesce(tools, 0), coalesce(strong, 0) FROM delta WHERE tools <> 0 OR strong <> 0
ON CONFLICT (org_id, lexeme) DO UPDATE
SET tools = lexeme_stats.tools + excluded.tools, strong = lexeme_stats.strong + excluded.strong

-- name: count_incoming_tools
WITH delta AS (
    SELECT i.integration_id, count(*) FILTER (WHERE t.active IS NOT TRUE) AS tools
    FROM pg_temp.tool_index_incoming i LEFT JOIN tool_index t ON t.tool_id = i.tool_id AND t.org_id = $1
    GROUP BY i.integration_id),
of_integrations AS (
    UPDATE integration_revision r SET tools = r.tools + delta.tools
    FROM delta WHERE r.org_id = $1 AND r.integration_id = delta.integration_id AND r.revision = $2)
UPDATE catalog_revision SET tools = tools + (SELECT coalesce(sum(tools), 0) FROM delta) WHERE org_id = $1

-- name: upsert_incoming
-- How many were written: no row becomes another organisation's.
WITH written AS (
INSERT INTO tool_index (tool_id, org_id, integration_id, active, version, entry_revision, revision, document_sha256,
                        name, group_name, impacts, requires, produces, lexemes)
SELECT tool_id, $1, integration_id, true, version, entry_revision, $2, document_sha256,
       name, group_name, impacts, requires, produces, array_to_tsvector(lexemes)
FROM pg_temp.tool_index_incoming ORDER BY integration_id, tool_id
ON CONFLICT (tool_id) DO UPDATE
SET active = true, version = excluded.version, entry_revision = excluded.entry_revision, revision = excluded.revision,
    document_sha256 = excluded.document_sha256, name = excluded.name, group_name = excluded.group_name,
    impacts = excluded.impacts, requires = excluded.requires, produces = excluded.produces, lexemes = excluded.lexemes
WHERE tool_index.org_id = $1
RETURNING tool_id)
SELECT count(*) FROM written

-- name: set_active
WITH changed AS (
    UPDATE tool_index SET active = $4, revision = $5
    WHERE org_id = $1 AND integration_id = $2 AND tool_id = ANY($3::uuid[]) AND active <> $4
    RETURNING lexemes),
of_integration AS (
    UPDATE integration_revision SET tools = tools + $6 * (SELECT count(*) FROM changed)
    WHERE org_id = $1 AND integration_id = $2),
of_organisation AS (
    UPDATE catalog_revision SET tools = tools + $6 * (SELECT count(*) FROM changed) WHERE org_id = $1)
INSERT INTO lexeme_stats (org_id, lexeme, tools, strong)
SELECT $1, substr(key, 13), $6 * count(*) FILTER (WHERE substr(key, 12, 1) = ':'),
       $6 * count(*) FILTER (WHERE substr(key, 12, 1) = '!')
FROM changed, unnest(tsvector_to_array(lexemes)) AS key
WHERE substr(key, 12, 1) IN (':', '!') GROUP BY substr(key, 13)
ON CONFLICT (org_id, lexeme) DO UPDATE
SET tools = lexeme_stats.tools + excluded.tools, strong = lexeme_stats.strong + excluded.strong

-- name: to_embed
SELECT i.tool_id, i.version, t.document, i.document_sha256
FROM tool_index i JOIN tools t ON t.id = i.tool_id AND t.version = i.version AND t.org_id = i.org_id
WHERE i.org_id = $1 AND i.integration_id = $2 AND i.tool_id > $5 AND i.active
  AND (i.embedding IS NULL OR i.embedding_model IS DISTINCT FROM $3
       OR i.embedded_sha256 IS DISTINCT FROM i.document_sha256)
ORDER BY i.tool_id LIMIT $4

-- name: count_to_embed
SELECT count(*) FROM tool_index
WHERE org_id = $1 AND integration_id = $2 AND active
  AND (embedding IS NULL OR embedding_model IS DISTINCT FROM $3 OR embedded_sha256 IS DISTINCT FROM document_sha256)

-- name: set_embeddings
UPDATE tool_index i
SET embedding = made.embedding, embedding_model = $3, embedded_sha256 = i.document_sha256, revision = $4
FROM unnest($5::uuid[], $6::bytea[], $7::vector[]) AS made (tool_id, document_sha256, embedding)
WHERE i.org_id = $1 AND i.integration_id = $2 AND i.tool_id = made.tool_id
  AND i.document_sha256 = made.document_sha256

-- name: set_groups
UPDATE tool_index i SET group_id = made.group_id, revision = $3
FROM unnest($4::uuid[], $5::uuid[]) AS made (tool_id, group_id)
WHERE i.org_id = $1 AND i.integration_id = $2 AND i.tool_id = made.tool_id AND i.group_id IS DISTINCT FROM made.group_id

-- name: to_make
SELECT tool_id, version FROM tool_index
WHERE org_id = $1 AND active AND entry_revision < $2 ORDER BY tool_id LIMIT $3

-- name: organizations_to_make
-- Of whatever organisation, as imports are claimed: workers serve all of them.
SELECT DISTINCT org_id FROM tool_index WHERE active AND entry_revision < $1
