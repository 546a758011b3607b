-- The read model of runs, in the scope of one project ($1 organisation, $2 project); $3 is the session.

-- name: find
-- One run of the session.
SELECT id, status, is_open, plan_hash, detail, created_at, updated_at
FROM runs
WHERE org_id = $1 AND project_id = $2 AND session_id = $3 AND id = $4;

-- name: page
-- The session's runs, newest first, before $4 (NULL: from the newest).
SELECT id, status, is_open, plan_hash, detail, created_at, updated_at
FROM runs
WHERE org_id = $1 AND project_id = $2 AND session_id = $3 AND ($4::uuid IS NULL OR id < $4)
ORDER BY id DESC
LIMIT $5;

-- name: open
-- The session's open runs, oldest first: the active one leads.
SELECT id, status, is_open, plan_hash, detail, created_at, updated_at
FROM runs
WHERE org_id = $1 AND project_id = $2 AND session_id = $3 AND is_open
ORDER BY id;
