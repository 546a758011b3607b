What a selection has to know before it begins.

-- name: facts
-- The settings of both levels, how many tools the project may be offered, and the state of the organisation's catalog,
-- in one look. No row: no such project.
SELECT c.revision, c.tools, off.integrations AS switched_off, (c.tools - off.tools)::integer AS size,
       o.settings -> 'retrieval' AS organization, p.settings -> 'retrieval' AS project,
       (p.settings ->> 'retrieval_max_tools')::integer AS project_max_tools
FROM projects p
JOIN organizations o ON o.id = p.org_id
LEFT JOIN catalog_revision c ON c.org_id = p.org_id
CROSS JOIN LATERAL (
    SELECT COALESCE(array_agg(s.integration_id), '{}') AS integrations, COALESCE(sum(r.tools), 0) AS tools
    FROM project_integrations s
    LEFT JOIN integration_revision r ON r.integration_id = s.integration_id AND r.org_id = s.org_id
    WHERE s.org_id = $1 AND s.project_id = $2 AND NOT s.enabled
) AS off
WHERE p.org_id = $1 AND p.id = $2;
