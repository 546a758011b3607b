-- What happens to a project ($2) of an organisation ($1) after it was made.

-- name: rename
-- Another name, unique in the organisation.
UPDATE projects SET name = $3 WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL
RETURNING org_id, id, name, settings, created_at;

-- name: delete
-- Gone for everybody from here on; its name is free again.
UPDATE projects SET deleted_at = now(), name = left(name, 150) || ' (deleted ' || id || ')'
WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL
RETURNING id;

-- name: revoke_keys
-- Its keys, the primary one as well.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()), retiring_sha256 = NULL, retiring_until = NULL
WHERE org_id = $1 AND project_id = $2;

-- name: close_sessions
-- No further prompts; runs under way come to their end.
UPDATE sessions SET status = 'closed', updated_at = now()
WHERE org_id = $1 AND project_id = $2 AND status <> 'closed';

-- name: cancel_jobs
-- No further occurrence.
UPDATE scheduled_jobs SET state = 'cancelled', updated_at = now()
WHERE org_id = $1 AND project_id = $2 AND state = 'scheduled';
