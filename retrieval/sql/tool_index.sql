The vector index over the tools that a project may use.
"Enabled" means: the current version, in the caller's organisation, of an integration that the project has not
switched off (no row in project_integrations = on).

-- name: count_enabled
-- How many tools the project could be offered.
SELECT count(*)
FROM tool_index t
LEFT JOIN project_integrations p
       ON p.integration_id = t.integration_id AND p.org_id = $1 AND p.project_id = $2
WHERE t.org_id = $1 AND t.active AND COALESCE(p.enabled, true);

-- name: nearest_enabled
-- The enabled tools nearest to an L2-normalised vector, best first; ties by name, which is unique among current tools.
-- A tool without an embedding of this model has no score and comes last: it is never lost, only unranked.
-- Vectors are normalised, so the inner product is the cosine; <#> is its negative.
SELECT t.tool_id AS id, t.version, t.name, t.group_name,
       CASE WHEN t.embedding_model = $4 THEN -(t.embedding <#> $3) END AS vector_score
FROM tool_index t
LEFT JOIN project_integrations p
       ON p.integration_id = t.integration_id AND p.org_id = $1 AND p.project_id = $2
WHERE t.org_id = $1 AND t.active AND COALESCE(p.enabled, true)
ORDER BY vector_score DESC NULLS LAST, t.name
LIMIT $5;
