The first stage of the hierarchical tier: which groups a prompt's tools are searched in.
$1 organisation, $2 project, $3 model, $4 the vectors of the prompt's parts (whole prompt first), $5 groups a part.

-- name: nearest_groups
-- Groups by the cosine that their best member has (best_member) or is expected to have (centroid: the cosine to the
-- centroid's direction, and the group's reach above it). Up to $5 a part; a group that several parts find stands with
-- the part that it is nearest to. The vectors are normalised, so the inner product (<#> is its negative) is the cosine,
-- but for the length of the centroid, which is the coherence.
WITH routed AS (
    SELECT found.id, found.similarity, found.expected, asked.part
    FROM unnest($4::vector[]) WITH ORDINALITY AS asked (vector, part)
    CROSS JOIN LATERAL (
        SELECT near.id, near.similarity, near.expected FROM (
            SELECT g.id, -(g.centroid <#> asked.vector) / g.coherence AS similarity,
                   g.reach - (g.centroid <#> asked.vector) / g.coherence AS expected
            FROM tool_group_centroids g
            WHERE g.org_id = $1 AND g.model = $3 AND g.routing = 'centroid'
              AND NOT EXISTS (SELECT FROM project_integrations off
                              WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                                AND off.integration_id = g.integration_id)
            UNION ALL
            SELECT g.id, best.similarity, best.similarity
            FROM tool_group_centroids g
            CROSS JOIN LATERAL (
                SELECT max(-(t.embedding <#> asked.vector)) AS similarity
                FROM tool_index t
                WHERE t.org_id = $1 AND t.group_id = g.id AND t.active AND t.embedding_model = $3) AS best
            WHERE g.org_id = $1 AND g.model = $3 AND g.routing = 'best_member' AND best.similarity IS NOT NULL
              AND NOT EXISTS (SELECT FROM project_integrations off
                              WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                                AND off.integration_id = g.integration_id)
        ) AS near
        ORDER BY near.expected DESC, near.id LIMIT $5
    ) AS found
)
SELECT * FROM (
    SELECT DISTINCT ON (g.id) g.id, g.integration_id, g.name, g.base, g.part, g.parts, g.size, g.base_size, g.coherence,
           g.base_coherence, g.reach, g.routing, r.similarity, r.expected, (r.part - 1)::integer AS query_part
    FROM routed r JOIN tool_group_centroids g ON g.id = r.id AND g.org_id = $1
    ORDER BY g.id, r.expected DESC, r.part
) AS groups
ORDER BY expected DESC, id

-- name: group_facts
-- How many groups the project's enabled integrations have, and how many of their tools have a vector but no group yet
-- (at most $4 are counted: more change no decision).
SELECT (SELECT count(*) FROM tool_group_centroids g
        WHERE g.org_id = $1 AND g.model = $3
          AND NOT EXISTS (SELECT FROM project_integrations off
                          WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                            AND off.integration_id = g.integration_id))::integer AS considered,
       (SELECT count(*) FROM (
            SELECT FROM tool_index t
            WHERE t.org_id = $1 AND t.active AND t.group_id IS NULL AND t.embedding_model = $3
              AND NOT EXISTS (SELECT FROM project_integrations off
                              WHERE off.org_id = $1 AND off.project_id = $2 AND NOT off.enabled
                                AND off.integration_id = t.integration_id)
            LIMIT $4) AS waiting)::integer AS ungrouped
