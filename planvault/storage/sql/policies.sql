-- name: of_run
-- What organisation, project and session have decided, for the start of a run.
SELECT p.settings AS project, s.settings AS session, s.context, s.tags, o.settings AS organization
FROM sessions s
JOIN projects p ON p.id = s.project_id AND p.org_id = s.org_id
JOIN organizations o ON o.id = s.org_id
WHERE s.org_id = $1 AND s.project_id = $2 AND s.id = $3
