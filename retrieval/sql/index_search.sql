The index over the tools that a project may be offered: those of $1, its organisation, without the integrations $2 that
the project has switched off. Both conditions are part of every scan, so that no scan returns too few.
`{…}` are columns that are written once a part of the prompt (retrieval.index.postgres).

-- name: catalog
-- What is known before a search: how many tools the organisation has, what the project has switched off, and how common
-- the prompt's lexemes are.
SELECT c.tools AS documents,
       ARRAY(SELECT p.integration_id FROM project_integrations p
             WHERE p.org_id = $1 AND p.project_id = $2 AND NOT p.enabled) AS disabled,
       held.lexemes, held.counts, held.strong
FROM catalog_revision c,
     LATERAL (SELECT array_agg(s.lexeme) AS lexemes, array_agg(s.tools) AS counts,
                     array_agg(s.strong) AS strong
              FROM lexeme_stats s WHERE s.org_id = $1 AND s.lexeme = ANY($3::text[])) AS held
WHERE c.org_id = $1

-- name: nearest_exactly
-- Every embedded tool with its cosines, as one row of arrays: a row each would cost more than the comparing.
SELECT string_agg(uuid_send(t.tool_id), ''::bytea) AS tools, {dense}
FROM tool_index t
WHERE t.org_id = $1 AND t.active AND t.integration_id <> ALL($2::uuid[]) AND t.embedding_model = $3

-- name: nearest_in_groups
-- The same of some tool groups and of the tools that have none yet.
SELECT string_agg(uuid_send(t.tool_id), ''::bytea) AS tools, {dense}
FROM tool_index t
WHERE t.org_id = $1 AND t.active AND (t.group_id = ANY($4::uuid[]) OR t.group_id IS NULL)
  AND t.integration_id <> ALL($2::uuid[]) AND t.embedding_model = $3

-- name: with_terms
-- Every tool that holds one of some lexemes, with its BM25. Their keys name the organisation $1, whose transaction it is.
SELECT string_agg(uuid_send(t.tool_id), ''::bytea) AS tools, {lexical}
FROM tools_holding($3::text::tsquery) t
WHERE $1::uuid = tenant_scope() AND t.integration_id <> ALL($2::uuid[])

-- name: all_tools
-- Every tool with both scores; no cosine without a vector of model $3.
SELECT t.tool_id, t.version, t.name, t.group_name, t.integration_id, t.requires, t.produces,
       CASE WHEN t.embedding_model = $3 THEN {dense} END AS dense, {lexical} AS lexical
FROM tool_index t
WHERE t.org_id = $1 AND t.active AND t.integration_id <> ALL($2::uuid[])

-- name: these_tools
-- The same of some tools.
SELECT t.tool_id, t.version, t.name, t.group_name, t.integration_id, t.requires, t.produces,
       CASE WHEN t.embedding_model = $3 THEN {dense} END AS dense, {lexical} AS lexical
FROM tool_index t
WHERE t.org_id = $1 AND t.active AND t.integration_id <> ALL($2::uuid[]) AND t.tool_id = ANY($4::uuid[])

-- name: producers
-- Tools of the integrations $3 that produce an entity, for each of the keys $4. The names come from the project's own
-- catalog: $2 is the project here.
SELECT DISTINCT t.tool_id, t.version, t.name, t.group_name, t.integration_id, t.requires, t.produces
FROM unnest($4::text[]) AS wanted (key)
CROSS JOIN LATERAL (
    SELECT t.* FROM tools_holding(wanted.key::tsquery) AS holding JOIN tool_index t USING (tool_id)
    WHERE t.org_id = $1 AND t.integration_id = ANY($3::uuid[])
      AND NOT EXISTS (SELECT FROM project_integrations p
                      WHERE p.org_id = $1 AND p.project_id = $2 AND p.integration_id = t.integration_id
                        AND NOT p.enabled)
    ORDER BY t.name LIMIT $5) AS t
ORDER BY t.name
