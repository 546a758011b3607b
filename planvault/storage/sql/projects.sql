-- What happens to a project ($2) of an organisation ($1) after it was made.

-- name: rename
-- Another name, unique in the organisation.
UPDATE projects SET name = $3 WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL
RETURNING org_id, id, name, settings, created_at;

-- name: delete
-- Gone for everybody from here on; its name is free again. After $3 days what it held goes.
UPDATE projects SET deleted_at = now(), purge_after = now() + $3 * interval '1 day', name_before = name,
       name = left(name, 150) || ' (deleted ' || id || ')'
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

-- name: deleted
-- Those that can be restored, oldest first.
SELECT id, name_before AS name, deleted_at, purge_after FROM projects
WHERE org_id = $1 AND purge_after > now() ORDER BY id;

-- name: meet_erasures
-- Whoever asks for an erasure of the project, or makes sessions or jobs in it, waits, and has been waited for.
SELECT pg_advisory_xact_lock(erasure_lock($1, uuid_send($2::uuid)));

-- name: hold_deleted
-- One that is deleted; `is_late`: its time is over, or an erasure has it.
SELECT name_before, deleted_at,
       purge_after <= now() OR EXISTS (
           SELECT FROM privacy_requests r
           WHERE r.org_id = $1 AND r.project_id = $2 AND r.kind = 'erasure' AND r.state IN ('queued', 'running')
       ) AS is_late
FROM projects WHERE org_id = $1 AND id = $2 AND deleted_at IS NOT NULL FOR UPDATE;

-- name: restore
-- Under the name $3.
UPDATE projects SET deleted_at = NULL, purge_after = NULL, name_before = NULL, name = $3
WHERE org_id = $1 AND id = $2
RETURNING org_id, id, name, settings, created_at;

-- name: restore_keys
-- Those that ended with the project, at $3; who revoked one before that meant it.
UPDATE api_keys SET revoked_at = NULL WHERE org_id = $1 AND project_id = $2 AND revoked_at = $3;

-- name: due
-- Of every organisation: a deleted project whose time has come, and that no erasure has yet.
SELECT org_id, id FROM deleted_project_due();

-- name: is_due
-- The same of one, after `meet_erasures`: it may have been restored in the last moment.
SELECT EXISTS (SELECT FROM projects WHERE org_id = $1 AND id = $2 AND purge_after <= now());
