What an export reads, page by page and in one table at a time. $1 is the organisation; $3: how many; $4: key of the last
row (JSON array), NULL at first.

-- name: rows_of_organization
SELECT t.* FROM {table} t
WHERE t.{org} = $1 AND $2::uuid IS NULL AND ($4::jsonb IS NULL OR {after})
ORDER BY {key} LIMIT $3;

-- name: rows_of_project
SELECT t.* FROM {table} t
WHERE t.org_id = $1 AND t.{column} = $2::uuid AND ($4::jsonb IS NULL OR {after})
ORDER BY {key} LIMIT $3;

-- name: rows_of_session
SELECT t.* FROM {table} t
WHERE t.org_id = $1 AND t.{column} = $2::uuid AND ($4::jsonb IS NULL OR {after})
ORDER BY {key} LIMIT $3;

-- name: rows_of_people
SELECT t.* FROM {table} t
WHERE t.org_id = $1 AND t.{column} = ANY ($2::bytea[]) AND ($4::jsonb IS NULL OR {after})
ORDER BY {key} LIMIT $3;

-- name: sessions
-- Whose sessions: of the project $2, of the people $3, or with neither the whole organisation's; behind $4.
SELECT * FROM sessions
WHERE org_id = $1 AND (project_id = $2 OR external_user_hmac = ANY ($3::bytea[])
                       OR $2::uuid IS NULL AND cardinality($3::bytea[]) = 0)
  AND id > $4
ORDER BY id LIMIT $5;

-- name: members
-- Who belongs to the organisation, as their issuers name them.
SELECT u.*, m.role, m.joined_at FROM members m JOIN users u ON u.id = m.user_id
WHERE m.org_id = $1 ORDER BY u.id;

-- name: loose_audit_rows
-- The audit log's rows that belong to no session, behind place $2.
SELECT id, seq, at, action, project_id, details FROM audit_log
WHERE org_id = $1 AND seq > $2 AND session_id IS NULL AND octet_length(details) > 0
ORDER BY seq LIMIT $3;
