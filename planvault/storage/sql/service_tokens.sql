-- Service tokens. All but `find` work in one organisation ($1).

-- name: find
-- The live token with this digest. Authentication: the digest is what gives the scope, so there is none yet.
SELECT id, org_id, name, role, is_stale, ends_at, ends_in_s FROM service_token_of($1);

-- name: touch
-- Note that the token was used; of several replicas one writes a minute, and no caller waits for a row that is held.
UPDATE service_tokens
SET last_used_at = now()
WHERE id = (
    SELECT id FROM service_tokens
    WHERE org_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
    FOR NO KEY UPDATE SKIP LOCKED);

-- name: hold
-- Tokens of an organisation are made one by one, so that they can be counted. A lock of their own: the organisation's row
-- is held by whoever makes its first key, which the audit row of the change may wait for.
SELECT pg_advisory_xact_lock(hashtextextended('planvault/service_tokens/' || $1::uuid::text, 0));

-- name: live
-- How many there are that open anything.
SELECT count(*) FROM service_tokens WHERE org_id = $1 AND revoked_at IS NULL AND expires_at > now();

-- name: make_way
-- One that has expired gives its name to the next.
UPDATE service_tokens SET revoked_at = expires_at
WHERE org_id = $1 AND name = $2 AND revoked_at IS NULL AND expires_at <= now();

-- name: create
-- A new token, for $8 seconds, whose text is shown to the person $9.
INSERT INTO service_tokens (org_id, id, name, role, token_sha256, preview, created_by, expires_at, maker_user)
VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8), $9)
RETURNING id, name, role, preview, created_by, created_at, expires_at, last_used_at, rotated_at, retiring_until,
          revoked_at, maker_is_gone(org_id, '', maker_user, NULL);

-- name: rotate
-- A new text under the same id, name and role, for $5 seconds from now; the one before it opens for $6 seconds more. A
-- text that was retiring already ends here: at any time at most two open. The new one is shown to the person $7.
UPDATE service_tokens
SET token_sha256 = $3, preview = $4, last_used_at = NULL, rotated_at = now(), maker_user = $7,
    retiring_user = CASE WHEN $6::double precision > 0 THEN maker_user END,
    expires_at = now() + make_interval(secs => $5),
    retiring_sha256 = CASE WHEN $6::double precision > 0 THEN token_sha256 END,
    retiring_until = CASE WHEN $6::double precision > 0
                          THEN least(expires_at, now() + make_interval(secs => $6)) END
WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL AND expires_at > now()
RETURNING id, name, role, preview, created_by, created_at, expires_at, last_used_at, rotated_at, retiring_until,
          revoked_at, maker_is_gone(org_id, '', maker_user, NULL);

-- name: revoke
-- For good, both texts. One that was revoked before keeps its first time.
UPDATE service_tokens
SET revoked_at = coalesce(revoked_at, now()), retiring_sha256 = NULL, retiring_until = NULL
WHERE org_id = $1 AND id = $2
RETURNING id, name, role, preview, created_by, created_at, expires_at, last_used_at, rotated_at, retiring_until,
          revoked_at, maker_is_gone(org_id, '', maker_user, NULL);

-- name: one
-- A token, whatever its state.
SELECT id, name, role, preview, created_by, created_at, expires_at, last_used_at, rotated_at, retiring_until,
       revoked_at, maker_is_gone(org_id, '', maker_user, NULL)
FROM service_tokens WHERE org_id = $1 AND id = $2;

-- name: page
-- Newest first, in front of $2 (NULL: from the newest), the revoked and expired ones included.
SELECT id, name, role, preview, created_by, created_at, expires_at, last_used_at, rotated_at, retiring_until,
       revoked_at, maker_is_gone(org_id, '', maker_user, NULL)
FROM service_tokens
WHERE org_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC
LIMIT $3;
