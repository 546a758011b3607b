What a copy of the index reads (planvault.storage.tool_index_reader). $1 is always the organisation.

-- name: catalog_state
SELECT revision, tools FROM catalog_revision WHERE org_id = $1

-- name: integration_states
SELECT r.integration_id, r.revision, r.tools, coalesce(p.enabled, true) AS enabled
FROM integration_revision r
LEFT JOIN project_integrations p
  ON p.integration_id = r.integration_id AND p.org_id = r.org_id AND p.project_id = $2
WHERE r.org_id = $1

-- name: changed_tools
-- Vectors as they are sent: a copy of a hundred thousand makes arrays of them faster than a codec makes objects.
SELECT tool_id, integration_id, version, active, revision, name, group_name, group_id, vector_send(embedding) AS embedding,
       embedding_model, sparsevec_send(impacts) AS impacts, requires, produces
FROM tool_index
WHERE org_id = $1 AND integration_id = $2 AND revision > $3 AND tool_id > $4
ORDER BY tool_id LIMIT $5

-- name: lexeme_counts
SELECT lexeme, tools FROM lexeme_stats WHERE org_id = $1 AND lexeme = ANY($2::text[])
