-- Secrets of an organisation ($1), a project ($2) or a session ($3); NULL stands for "not at this level".

-- name: put
-- Write values at one level. Each write has a new id, because the id is part of the seal.
-- The level must exist in this tenant: a project of the organisation, a session of the project.
INSERT INTO secrets (org_id, project_id, session_id, id, name, value)
SELECT $1, $2, $3, fresh.id, fresh.name, fresh.value
FROM unnest($4::uuid[], $5::text[], $6::bytea[]) AS fresh (id, name, value)
WHERE ($2::uuid IS NULL OR EXISTS (SELECT FROM projects WHERE org_id = $1 AND id = $2))
  AND ($3::uuid IS NULL OR EXISTS (SELECT FROM sessions WHERE org_id = $1 AND project_id = $2 AND id = $3))
ORDER BY fresh.name
ON CONFLICT (org_id, project_id, session_id, name)
DO UPDATE SET id = excluded.id, value = excluded.value, updated_at = now()
RETURNING id;

-- name: names_at
-- Names at exactly one level, with the time of their last write.
SELECT name, updated_at
FROM secrets
WHERE org_id = $1 AND project_id IS NOT DISTINCT FROM $2 AND session_id IS NOT DISTINCT FROM $3
ORDER BY name;

-- name: visible
-- Names that a session may use: its own, its project's, its organisation's.
SELECT DISTINCT name
FROM secrets
WHERE org_id = $1
  AND (project_id IS NULL OR project_id = $2)
  AND (session_id IS NULL OR session_id = $3)
ORDER BY name;

-- name: value
-- The value that holds for a session: session over project over organisation.
SELECT id, value
FROM secrets
WHERE org_id = $1
  AND (project_id IS NULL OR project_id = $2)
  AND (session_id IS NULL OR session_id = $3)
  AND name = $4
ORDER BY session_id IS NULL, project_id IS NULL
LIMIT 1;

-- name: delete
-- Remove one name at exactly one level.
DELETE FROM secrets
WHERE org_id = $1 AND project_id IS NOT DISTINCT FROM $2 AND session_id IS NOT DISTINCT FROM $3 AND name = $4
RETURNING id;
