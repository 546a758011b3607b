-- The audit log of one organisation ($1). Hosts write it in the append (events.sql).

-- name: insert
-- One row, inside the transaction of what it tells of.
INSERT INTO audit_log (id, org_id, project_id, session_id, run_id, at, action, details)
VALUES ($2, $1, $3, $4, $5, $6, $7, $8);

-- name: page
-- Newest first, before $2 (NULL: from the newest); every other filter is optional.
SELECT id, project_id, session_id, run_id, at, action, details
FROM audit_log
WHERE org_id = $1
  AND ($2::uuid IS NULL OR id < $2)
  AND ($3::text[] IS NULL OR action = ANY($3))
  AND ($4::uuid IS NULL OR project_id = $4)
  AND ($5::uuid IS NULL OR session_id = $5)
  AND ($6::uuid IS NULL OR run_id = $6)
  AND ($7::timestamptz IS NULL OR at >= $7)
  AND ($8::timestamptz IS NULL OR at < $8)
ORDER BY id DESC
LIMIT $9;
