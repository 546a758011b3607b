-- Whoever was shown the text of keys and tokens of an organisation ($1): a person ($2) or a service token ($3).

-- name: hold_token
-- The token opens, and is not revoked before this transaction ends.
SELECT true FROM service_tokens WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL AND expires_at > now() FOR SHARE;

-- name: hold_member
-- The person ($2) is a member, and is not removed before this transaction ends.
SELECT true FROM members WHERE org_id = $1 AND user_id = $2 FOR SHARE;

-- name: keys
-- Keys that open, or that a restored project would open again, held.
SELECT id, project_id, name, preview, is_primary, (maker_user = $2 OR maker_token = $3) IS NOT TRUE AS old_text_only
FROM api_keys AS k
WHERE org_id = $1 AND (expires_at IS NULL OR expires_at > now())
  AND (maker_user = $2 OR maker_token = $3
       OR retiring_until > now() AND (retiring_user = $2 OR retiring_token = $3))
  AND (revoked_at IS NULL OR EXISTS (
           SELECT FROM projects AS p WHERE p.org_id = $1 AND p.id = k.project_id AND p.deleted_at = k.revoked_at))
ORDER BY id
FOR UPDATE;

-- name: end_keys
-- The keys $2; of the keys $3 the text before the last rotation.
UPDATE api_keys
SET revoked_at = CASE WHEN id = ANY ($2::uuid[]) THEN now() ELSE revoked_at END, retiring_sha256 = NULL,
    retiring_until = NULL
WHERE org_id = $1 AND (id = ANY ($2::uuid[]) OR id = ANY ($3::uuid[]));

-- name: tokens
-- Service tokens that open, and that the person ($2) was shown, held.
SELECT id, name, preview, maker_user IS DISTINCT FROM $2 AS old_text_only
FROM service_tokens
WHERE org_id = $1 AND revoked_at IS NULL AND expires_at > now()
  AND (maker_user = $2 OR retiring_until > now() AND retiring_user = $2)
ORDER BY id
FOR UPDATE;

-- name: end_tokens
-- The tokens $2; of the tokens $3 the text before the last rotation.
UPDATE service_tokens
SET revoked_at = CASE WHEN id = ANY ($2::uuid[]) THEN now() ELSE revoked_at END, retiring_sha256 = NULL,
    retiring_until = NULL
WHERE org_id = $1 AND (id = ANY ($2::uuid[]) OR id = ANY ($3::uuid[]));
