Tool groups: what an integration's are made of, and the rows that routing reads. $1 is always the organisation.

-- name: integration_revision
SELECT revision FROM integration_revision WHERE org_id = $1 AND integration_id = $2

-- name: group_contents
-- The groups that the tools of an integration name, and what they are made of now: members with a vector of the model.
SELECT group_name, count(*)::integer AS size,
       sha256(string_agg(uuid_send(tool_id) || coalesce(embedded_sha256, ''), '' ORDER BY tool_id)) AS members_sha256
FROM tool_index
WHERE org_id = $1 AND integration_id = $2 AND active AND embedding IS NOT NULL AND embedding_model = $3
GROUP BY group_name

-- name: group_members
SELECT tool_id, name, group_name, embedding FROM tool_index
WHERE org_id = $1 AND integration_id = $2 AND active AND embedding IS NOT NULL AND embedding_model = $3
  AND group_name = ANY($4::text[])
ORDER BY tool_id

-- name: stored_bases
-- What the stored groups of an integration were made of.
SELECT DISTINCT base, members_sha256 FROM tool_group_centroids WHERE org_id = $1 AND integration_id = $2

-- name: group_ids
SELECT id, base, part FROM tool_group_centroids
WHERE org_id = $1 AND integration_id = $2 AND base = ANY($3::text[])

-- name: upsert_groups
INSERT INTO tool_group_centroids (id, org_id, integration_id, base, part, parts, name, size, base_size, coherence,
                                  base_coherence, reach, routing, model, members_sha256, centroid)
SELECT made.id, $1, $2, made.base, made.part, made.parts, made.name, made.size, made.base_size, made.coherence,
       made.base_coherence, made.reach, made.routing, $3, made.members_sha256, made.centroid
FROM unnest($4::uuid[], $5::text[], $6::integer[], $7::integer[], $8::text[], $9::integer[], $10::integer[],
            $11::real[], $12::real[], $13::real[], $14::text[], $15::bytea[], $16::vector[])
     AS made (id, base, part, parts, name, size, base_size, coherence, base_coherence, reach, routing, members_sha256,
              centroid)
ON CONFLICT (integration_id, base, part) DO UPDATE
SET parts = excluded.parts, name = excluded.name, size = excluded.size, base_size = excluded.base_size,
    coherence = excluded.coherence, base_coherence = excluded.base_coherence, reach = excluded.reach,
    routing = excluded.routing, model = excluded.model, members_sha256 = excluded.members_sha256,
    centroid = excluded.centroid

-- name: delete_groups
DELETE FROM tool_group_centroids WHERE org_id = $1 AND integration_id = $2 AND id = ANY($3::uuid[])

-- name: strays
-- Tools that are in a group no more: retired, without a vector of the model, or of a group that is gone.
SELECT t.tool_id FROM tool_index t
WHERE t.org_id = $1 AND t.integration_id = $2 AND t.group_id IS NOT NULL
  AND (NOT t.active OR t.embedding IS NULL OR t.embedding_model IS DISTINCT FROM $3
       OR NOT EXISTS (SELECT FROM tool_group_centroids g
                      WHERE g.id = t.group_id AND g.org_id = $1 AND g.integration_id = $2))

-- name: record_progress
INSERT INTO tool_group_progress (integration_id, org_id, revision, rules, model)
SELECT i.id, i.org_id, $3, $4, $5 FROM integrations i WHERE i.org_id = $1 AND i.id = $2 FOR KEY SHARE
ON CONFLICT (integration_id) DO UPDATE
SET revision = excluded.revision, rules = excluded.rules, model = excluded.model
WHERE tool_group_progress.revision <= excluded.revision

-- name: stale_integrations
-- Of all organisations: integrations whose tools have changed since they were grouped, unless an import that groups
-- them itself is still at work.
SELECT r.org_id, r.integration_id
FROM integration_revision r
LEFT JOIN tool_group_progress p ON p.integration_id = r.integration_id
WHERE (p.revision IS DISTINCT FROM r.revision OR p.rules <> $1 OR p.model <> $2)
  AND (r.org_id, r.integration_id) > ($4::uuid, $5::uuid)
  AND NOT EXISTS (SELECT FROM imports i
                  WHERE i.integration_id = r.integration_id AND i.status NOT IN ('completed', 'failed'))
  AND NOT EXISTS (SELECT FROM bulk_imports b WHERE b.org_id = r.org_id AND b.status = 'running')
ORDER BY r.org_id, r.integration_id LIMIT $3
