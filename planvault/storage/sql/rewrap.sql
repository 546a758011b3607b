-- Wrapping organisations' data keys again, under another key-encryption key: the operator's work, organisation by
-- organisation ($1).

-- name: next
-- Up to $2 organisations after $1, deleted ones that can still be restored among them.
SELECT id FROM organizations WHERE id > $1 ORDER BY id LIMIT $2;

-- name: keys
-- The organisation's own keys, every version that is not destroyed.
SELECT id, purpose, version, wrapped, wrapped_by FROM data_keys
WHERE org_id = $1 AND purpose IN ('org', 'hmac') AND status <> 'destroyed' ORDER BY id;

-- name: hold
SELECT dek_wrap FROM organizations WHERE id = $1 FOR UPDATE;

-- name: swap
-- One key, where it is still wrapped as it was read.
UPDATE data_keys SET wrapped = $3, wrapped_by = $4
WHERE org_id = $1 AND id = $2 AND wrapped = $5 AND status <> 'destroyed'
RETURNING 1;

-- name: choose
UPDATE organizations SET dek_wrap = $2 WHERE id = $1;

-- name: wrapped
-- Who wraps how many of the organisation's keys.
SELECT o.dek_wrap AS provider, k.wrapped_by AS kek, count(*) AS keys
FROM organizations o JOIN data_keys k ON k.org_id = o.id
WHERE o.id = $1 AND k.purpose IN ('org', 'hmac') AND k.status <> 'destroyed'
GROUP BY o.dek_wrap, k.wrapped_by;

-- name: provider
SELECT dek_wrap FROM organizations WHERE id = $1;
