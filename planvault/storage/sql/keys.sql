-- Wrapped data keys, in the scope of one organisation ($1).

-- name: load
-- The organisation's own keys that are not destroyed, every version, and which KEK provider wraps them. One row without
-- a key where it has none yet; no row where there is no such organisation.
SELECT o.dek_wrap, k.id, k.purpose, k.version, k.wrapped, k.wrapped_by, k.status, k.generation
FROM organizations o
LEFT JOIN data_keys k ON k.org_id = o.id AND k.purpose IN ('org', 'hmac') AND k.status <> 'destroyed'
WHERE o.id = $1
ORDER BY k.purpose, k.version;

-- name: hold
-- The organisation, kept from having its keys made or wrapped by another; whether it has any. NO KEY: a transaction
-- that waits for its organisation's first key may have inserted rows that refer to the organisation.
SELECT dek_wrap, EXISTS (SELECT FROM data_keys WHERE org_id = $1 AND purpose IN ('org', 'hmac')) AS has_keys
FROM organizations WHERE id = $1 FOR NO KEY UPDATE;

-- name: choose_provider
-- Who wraps the organisation's keys from now on.
UPDATE organizations SET dek_wrap = $2 WHERE id = $1;

-- name: add
-- A key, unless one of this purpose, user and version exists: of two processes that make one at once, the first wins.
INSERT INTO data_keys (org_id, id, purpose, version, wrapped, wrapped_by, status, generation, subject, activated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $7 = 'active' THEN now() END)
ON CONFLICT DO NOTHING;

-- name: owner
-- Whose session $2 is, and that person's newest key.
SELECT s.external_user_hmac AS subject,
       (SELECT k.id FROM data_keys k
        WHERE k.org_id = $1 AND k.purpose = 'user' AND k.subject = s.external_user_hmac AND k.status <> 'destroyed'
        ORDER BY k.version DESC LIMIT 1) AS key_id
FROM sessions s WHERE s.org_id = $1 AND s.id = $2;

-- name: of_user
-- All keys of the user $2.
SELECT id, purpose, version, wrapped, wrapped_by, status, generation
FROM data_keys WHERE org_id = $1 AND purpose = 'user' AND subject = $2
ORDER BY version;

-- name: shred_user
-- Every key of the user $2 is gone. The rows stay: they say that there was one, and keep its version from coming again.
UPDATE data_keys SET status = 'destroyed', wrapped = '', destroyed_at = now()
WHERE org_id = $1 AND purpose = 'user' AND subject = $2 AND status <> 'destroyed'
RETURNING id;

-- name: shred_organization
-- Every key of the organisation is gone: its own and its users'.
UPDATE data_keys SET status = 'destroyed', wrapped = '', destroyed_at = now()
WHERE org_id = $1 AND status <> 'destroyed'
RETURNING id;
