What a selection has to know before it begins.

-- name: facts
-- The settings of both levels and how many tools the project may be offered, in one look. No row: no such project.
SELECT o.settings -> 'retrieval' AS organization, p.settings -> 'retrieval' AS project,
       (p.settings ->> 'retrieval_max_tools')::integer AS project_max_tools,
       (SELECT count(*) FROM tools t
        LEFT JOIN project_integrations s
               ON s.integration_id = t.integration_id AND s.org_id = $1 AND s.project_id = $2
        WHERE t.org_id = $1 AND t.current AND COALESCE(s.enabled, true)) AS size
FROM projects p JOIN organizations o ON o.id = p.org_id
WHERE p.org_id = $1 AND p.id = $2;
