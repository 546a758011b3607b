What a selection has to know before it begins.

-- name: facts
-- The settings of both levels and how many tools the project may be offered, in one look. No row: no such project.
SELECT o.settings -> 'retrieval' AS organization, p.settings -> 'retrieval' AS project,
       (p.settings ->> 'retrieval_max_tools')::integer AS project_max_tools,
       (SELECT COALESCE(sum(r.tools), 0) FROM integration_revision r
        WHERE r.org_id = $1 AND NOT EXISTS (
              SELECT FROM project_integrations s
              WHERE s.project_id = $2 AND s.integration_id = r.integration_id AND s.org_id = $1 AND NOT s.enabled)
       )::integer AS size
FROM projects p JOIN organizations o ON o.id = p.org_id
WHERE p.org_id = $1 AND p.id = $2;
