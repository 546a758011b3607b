-- Wrapped data keys, in the scope of one organisation ($1).

-- name: provider
-- Which KEK provider wraps this organisation's keys.
SELECT dek_wrap FROM organizations WHERE id = $1;

-- name: load
-- The organisation's own keys, every version.
SELECT id, purpose, version, wrapped, wrapped_by, status
FROM data_keys
WHERE org_id = $1 AND purpose IN ('org', 'hmac')
ORDER BY purpose, version;

-- name: add
-- A key, unless one of this purpose and version exists: of two processes that make one at once, the first wins.
INSERT INTO data_keys (org_id, id, purpose, version, wrapped, wrapped_by, status)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (org_id, purpose, version) DO NOTHING;
