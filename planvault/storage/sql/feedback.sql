Votes of people on ended runs, in the scope of one project ($1 organisation, $2 project).

-- name: vote
-- A first vote, or another in its place. The same again changes nothing that was learned. No row: somebody who had
-- signed in ($10) has voted, and this vote only claims to be theirs.
INSERT INTO feedback AS known
    (org_id, project_id, session_id, run_id, id, voter, value, comment, created_at, updated_at, proven)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)
ON CONFLICT (run_id, voter) DO UPDATE
SET value = excluded.value, comment = excluded.comment, proven = excluded.proven,
    learned = known.learned AND known.value = excluded.value,
    updated_at = CASE WHEN known.value = excluded.value THEN known.updated_at ELSE excluded.updated_at END
WHERE known.org_id = $1 AND known.project_id = $2 AND known.session_id = $3
    AND (excluded.proven OR NOT known.proven)
RETURNING id, value, created_at, updated_at;
