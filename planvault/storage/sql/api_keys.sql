-- Project keys. All but `find` work in the scope of one project ($1 organisation, $2 project).

-- name: find
-- The live key with this digest. Authentication: the digest is what gives the scope, so there is none yet.
SELECT id, org_id, project_id, name, scopes, is_stale, ends_at, ends_in_s FROM project_key_of($1);

-- name: touch
-- Note that the key was used; of several replicas one writes a minute, and no caller waits for a row that is held.
UPDATE api_keys
SET last_used_at = now()
WHERE id = (
    SELECT id FROM api_keys
    WHERE org_id = $1 AND project_id = $2 AND id = $3
      AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
    FOR NO KEY UPDATE SKIP LOCKED);

-- name: hold
-- Two keys that are made at once are counted one by one, and a deletion of the project is waited for. A statement before
-- the count, whose snapshot must be later.
SELECT id FROM projects WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE;

-- name: room
-- How many more scoped keys the project may have, after `hold`. No row: there is no such project.
SELECT (SELECT keys_per_project FROM organizations WHERE id = $1)
       - (SELECT count(*) FROM api_keys
          WHERE org_id = $1 AND project_id = $2 AND NOT is_primary AND revoked_at IS NULL
            AND (expires_at IS NULL OR expires_at > now())) AS room
FROM projects WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL;

-- name: create
-- A key of a project that exists in this organisation, whose text is shown to $10: the person $11 or the token $12.
INSERT INTO api_keys (org_id, project_id, id, name, key_sha256, preview, scopes, is_primary, expires_at, maker_kind,
                      maker_user, maker_token)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
       coalesce($11::uuid, (SELECT maker_user FROM service_tokens WHERE org_id = $1 AND id = $12)), $12
WHERE EXISTS (SELECT FROM projects WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL)
RETURNING id, name, preview, scopes, is_primary, created_at, last_used_at, expires_at, rotated_at, retiring_until,
          revoked_at, maker_kind, maker_user, maker_token,
          maker_is_gone(org_id, maker_kind, maker_user, maker_token);

-- name: rotate
-- A new text under the same id, name and scopes; the one before it opens for $6 seconds more. A text that was retiring
-- already ends here: at any time at most two open. The new one is shown to $7: the person $8 or the token $9.
UPDATE api_keys
SET key_sha256 = $4, preview = $5, last_used_at = NULL, rotated_at = now(), maker_kind = $7,
    maker_user = coalesce($8::uuid, (SELECT maker_user FROM service_tokens AS t WHERE t.org_id = $1 AND t.id = $9)),
    maker_token = $9,
    retiring_user = CASE WHEN $6::double precision > 0 THEN maker_user END,
    retiring_token = CASE WHEN $6::double precision > 0 THEN maker_token END,
    retiring_sha256 = CASE WHEN $6::double precision > 0 THEN key_sha256 END,
    retiring_until = CASE WHEN $6::double precision > 0 THEN now() + make_interval(secs => $6) END
WHERE org_id = $1 AND project_id = $2 AND id = $3 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
RETURNING id, name, preview, scopes, is_primary, created_at, last_used_at, expires_at, rotated_at, retiring_until,
          revoked_at, maker_kind, maker_user, maker_token,
          maker_is_gone(org_id, maker_kind, maker_user, maker_token);

-- name: revoke
-- For good, both texts. A key that was revoked before keeps its first time.
UPDATE api_keys
SET revoked_at = coalesce(revoked_at, now()), retiring_sha256 = NULL, retiring_until = NULL
WHERE org_id = $1 AND project_id = $2 AND id = $3
RETURNING id, name, preview, scopes, is_primary, created_at, last_used_at, expires_at, rotated_at, retiring_until,
          revoked_at, maker_kind, maker_user, maker_token,
          maker_is_gone(org_id, maker_kind, maker_user, maker_token);

-- name: one
-- A key, whatever its state.
SELECT id, name, preview, scopes, is_primary, created_at, last_used_at, expires_at, rotated_at, retiring_until,
       revoked_at, maker_kind, maker_user, maker_token,
       maker_is_gone(org_id, maker_kind, maker_user, maker_token)
FROM api_keys
WHERE org_id = $1 AND project_id = $2 AND id = $3;

-- name: all
-- The project's keys, the revoked ones included, oldest first.
SELECT id, name, preview, scopes, is_primary, created_at, last_used_at, expires_at, rotated_at, retiring_until,
       revoked_at, maker_kind, maker_user, maker_token,
       maker_is_gone(org_id, maker_kind, maker_user, maker_token)
FROM api_keys
WHERE org_id = $1 AND project_id = $2
ORDER BY id;
