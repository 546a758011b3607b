-- Project keys. All but `find` work in the scope of one project ($1 organisation, $2 project).

-- name: find
-- The live key with this digest. Authentication: the digest is what gives the scope, so there is none yet.
SELECT id, org_id, project_id, name, scopes,
       last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS is_stale
FROM api_keys
WHERE key_sha256 = $1 AND revoked_at IS NULL;

-- name: touch
-- Note that the key was used; of several replicas one writes a minute, and no caller waits for a row that is held.
UPDATE api_keys
SET last_used_at = now()
WHERE id = (
    SELECT id FROM api_keys
    WHERE org_id = $1 AND project_id = $2 AND id = $3
      AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
    FOR NO KEY UPDATE SKIP LOCKED);

-- name: create
-- A key of a project that exists in this organisation.
INSERT INTO api_keys (org_id, project_id, id, name, key_sha256, preview, scopes, is_primary)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
WHERE EXISTS (SELECT FROM projects WHERE org_id = $1 AND id = $2)
RETURNING id, name, preview, scopes, is_primary, created_at, last_used_at, revoked_at;

-- name: rotate
-- A new secret under the same id, name and scopes; the old one stops working.
UPDATE api_keys
SET key_sha256 = $4, preview = $5, last_used_at = NULL
WHERE org_id = $1 AND project_id = $2 AND id = $3 AND revoked_at IS NULL
RETURNING id, name, preview, scopes, is_primary, created_at, last_used_at, revoked_at;

-- name: revoke
-- For good. A key that was revoked before keeps its first time.
UPDATE api_keys
SET revoked_at = coalesce(revoked_at, now())
WHERE org_id = $1 AND project_id = $2 AND id = $3
RETURNING id;

-- name: all
-- The project's keys, the revoked ones included, oldest first.
SELECT id, name, preview, scopes, is_primary, created_at, last_used_at, revoked_at
FROM api_keys
WHERE org_id = $1 AND project_id = $2
ORDER BY id;
