The first stage of the hierarchical tier: which groups a prompt's tools are searched in.
$1 organisation, $2 project, $3 model. `{…}` are columns, one a part of the prompt (retrieval.groups.postgres).

-- name: standing
-- Everything that is known before groups are chosen, as one row of arrays (a row each would cost more than the
-- comparing): of the enabled groups that are routed to by centroid their ids, reaches and a cosine a part; of the members
-- of those that are routed to by best member their groups and a cosine a part; and how many enabled tools have a vector
-- but no group yet, counted up to $4, because more change no decision. $5 …: the vectors of the parts. They are
-- normalised, so that the inner product (<#> is its negative) is the cosine, but for the length of the centroid, which is
-- the coherence.
SELECT centroids.*, members.*, waiting.*
FROM (SELECT string_agg(uuid_send(g.id), ''::bytea) AS groups, string_agg(float4send(g.reach), ''::bytea) AS reaches,
             {centroids}
      FROM tool_group_centroids g
      WHERE g.org_id = $1 AND g.model = $3 AND g.routing = 'centroid'
        AND NOT EXISTS (SELECT FROM project_integrations off
                        WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                          AND off.integration_id = g.integration_id)) AS centroids,
     (SELECT string_agg(uuid_send(g.id), ''::bytea) AS owners, {members}
      FROM tool_group_centroids g
      JOIN tool_index t ON t.org_id = $1 AND t.group_id = g.id AND t.active AND t.embedding_model = $3
      WHERE g.org_id = $1 AND g.model = $3 AND g.routing = 'best_member'
        AND NOT EXISTS (SELECT FROM project_integrations off
                        WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                          AND off.integration_id = g.integration_id)) AS members,
     (SELECT count(*) AS ungrouped FROM (
          SELECT FROM tool_index t
          WHERE t.org_id = $1 AND t.active AND t.group_id IS NULL AND t.embedding_model = $3
            AND NOT EXISTS (SELECT FROM project_integrations off
                            WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                              AND off.integration_id = t.integration_id)
          LIMIT $4) AS found) AS waiting

-- name: groups
-- What there is to say of groups that were chosen ($2), in no order.
SELECT id, integration_id, name, base, parts, size, base_size, coherence, base_coherence, reach, routing
FROM tool_group_centroids WHERE org_id = $1 AND id = ANY($2::uuid[])
