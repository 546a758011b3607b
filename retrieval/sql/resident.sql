What a resident copy of an organisation's index is made of (retrieval.index.resident). $1 is always the organisation.
A page comes as few large values, which numpy reads as they are: a row a tool would cost Python more than the search.

-- name: state
-- The organisation's revision and size, and what the project has switched off: read for every selection.
SELECT c.revision, c.tools,
       ARRAY(SELECT p.integration_id FROM project_integrations p
             WHERE p.org_id = $1 AND p.project_id = $2 AND NOT p.enabled) AS switched_off
FROM catalog_revision c WHERE c.org_id = $1;

-- name: revisions
SELECT c.revision AS of_all, i.integration_id, i.revision
FROM catalog_revision c LEFT JOIN integration_revision i ON i.org_id = c.org_id
WHERE c.org_id = $1;

-- name: page
-- Tools of these integrations (NULL: of all) that changed after revision $3, behind the cursor ($4, $5) and in its
-- order. Retired ones too where the copy may hold them ($7).
SELECT count(*) AS tools,
       string_agg(uuid_send(tool_id), '') AS ids,
       string_agg(uuid_send(integration_id), '') AS integrations,
       string_agg(COALESCE(uuid_send(group_id), '\x00000000000000000000000000000000'), '') AS group_ids,
       array_agg(active) AS active,
       array_agg(version) AS versions,
       array_agg(name) AS names,
       array_agg(group_name) AS groups,
       array_agg(array_to_string(requires, E'\x1f')) AS requires,
       array_agg(array_to_string(produces, E'\x1f')) AS produces,
       array_agg(embedding IS NOT NULL AND embedding_model = $2) AS embedded,
       string_agg(vector_send(embedding), '') FILTER (WHERE embedding_model = $2) AS vectors,
       array_agg(COALESCE(octet_length(sparsevec_send(impacts)), 0)) AS impact_sizes,
       string_agg(sparsevec_send(impacts), '') AS impacts
FROM (SELECT * FROM tool_index
      WHERE org_id = $1 AND revision > $3 AND (integration_id, tool_id) > ($4::uuid, $5::uuid) AND (active OR $7)
        AND ($8::uuid[] IS NULL OR integration_id = ANY($8))
      ORDER BY org_id, integration_id, tool_id LIMIT $6) AS changed;

-- name: groups
-- The groups of these integrations (NULL: of all), behind the cursor ($4, $5) and in its order.
SELECT count(*) AS groups,
       string_agg(uuid_send(id), '') AS ids,
       string_agg(uuid_send(integration_id), '') AS integrations,
       array_agg(name) AS names,
       array_agg(base) AS bases,
       array_agg(parts) AS parts,
       array_agg(size) AS sizes,
       array_agg(base_size) AS base_sizes,
       array_agg(coherence) AS coherences,
       array_agg(base_coherence) AS base_coherences,
       array_agg(reach) AS reaches,
       array_agg(routing = 'centroid') AS spoken_for,
       string_agg(vector_send(centroid), '') AS centroids
FROM (SELECT * FROM tool_group_centroids
      WHERE org_id = $1 AND model = $2 AND (integration_id, id) > ($4::uuid, $5::uuid)
        AND ($3::uuid[] IS NULL OR integration_id = ANY($3))
      ORDER BY org_id, integration_id, id LIMIT $6) AS wanted;
