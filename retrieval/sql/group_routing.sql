The first stage of the hierarchical tier: which groups a prompt's tools are searched in.
$1 organisation, $2 project, $3 model. `{cosines}` is a column a part of the prompt (retrieval.groups.postgres).

-- name: all_centroids
-- The enabled groups that are routed to by centroid, as one row of arrays (a row each would cost more than the
-- comparing): id, reach, and a cosine a part. The prompt's vectors are normalised, so that the inner product (<#> is its
-- negative) is the cosine, but for the length of the centroid, which is the coherence. $4 …: the vectors.
SELECT string_agg(uuid_send(g.id), ''::bytea) AS groups, string_agg(float4send(g.reach), ''::bytea) AS reaches,
       {cosines}
FROM tool_group_centroids g
WHERE g.org_id = $1 AND g.model = $3 AND g.routing = 'centroid'
  AND NOT EXISTS (SELECT FROM project_integrations off
                  WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                    AND off.integration_id = g.integration_id)

-- name: all_members
-- The members of the enabled groups that are routed to by best member, likewise: group, nothing, and a cosine a part.
SELECT string_agg(uuid_send(g.id), ''::bytea) AS groups, string_agg(float4send(0), ''::bytea) AS reaches, {cosines}
FROM tool_group_centroids g
JOIN tool_index t ON t.org_id = $1 AND t.group_id = g.id AND t.active AND t.embedding_model = $3
WHERE g.org_id = $1 AND g.model = $3 AND g.routing = 'best_member'
  AND NOT EXISTS (SELECT FROM project_integrations off
                  WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                    AND off.integration_id = g.integration_id)

-- name: groups
-- What there is to say of groups that were chosen ($2), in no order.
SELECT id, integration_id, name, base, parts, size, base_size, coherence, base_coherence, reach, routing
FROM tool_group_centroids WHERE org_id = $1 AND id = ANY($2::uuid[])

-- name: ungrouped
-- How many enabled tools have a vector but no group yet; counted up to $4, more change no decision.
SELECT count(*) FROM (
    SELECT FROM tool_index t
    WHERE t.org_id = $1 AND t.active AND t.group_id IS NULL AND t.embedding_model = $3
      AND NOT EXISTS (SELECT FROM project_integrations off
                      WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                        AND off.integration_id = t.integration_id)
    LIMIT $4) AS waiting
