-- The first tenant of a fresh database.

-- name: lock
-- One bootstrap at a time in this database, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtext('planvault/bootstrap'));

-- name: default_project
-- The tenant that an earlier bootstrap made ($1 organisation's name, $2 project's name), the oldest first.
SELECT organizations.id AS org_id, projects.id AS project_id
FROM organizations
JOIN projects ON projects.org_id = organizations.id
WHERE organizations.name = $1 AND projects.name = $2 AND projects.deleted_at IS NULL
ORDER BY organizations.created_at, organizations.id
LIMIT 1;

-- name: key_works
-- Whether this key (its digest $3) is live in this project.
SELECT EXISTS (
    SELECT FROM api_keys WHERE org_id = $1 AND project_id = $2 AND key_sha256 = $3 AND revoked_at IS NULL
);

-- name: has_primary
-- Whether the project has a live primary key.
SELECT EXISTS (SELECT FROM api_keys WHERE org_id = $1 AND project_id = $2 AND is_primary AND revoked_at IS NULL);

-- name: organizations
SELECT id FROM organizations ORDER BY created_at, id;
