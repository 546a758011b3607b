-- The audit log of one organisation ($1). Hosts write it in the append (events.sql); migration 0018 chains its rows.

-- name: insert
-- One row, inside the transaction of what it tells of. Its place is given to it when that commits.
INSERT INTO audit_log (id, org_id, project_id, session_id, run_id, at, action, details, details_digest)
VALUES ($2, $1, $3, $4, $5, $6, $7, $8, $9);

-- name: page
-- Newest first, before place $2 (NULL: from the newest); every other filter is optional. At most $9 rows, and no more
-- than fit into $10 bytes of details, the first one always; `found`: how many there were of the $9.
SELECT seq, id, project_id, session_id, run_id, at, action, details, found
FROM (
    SELECT *, count(*) OVER () AS found,
           sum(octet_length(details)) OVER (ORDER BY seq DESC) - octet_length(details) AS above
    FROM (
        SELECT seq, id, project_id, session_id, run_id, at, action, details
        FROM audit_log
        WHERE org_id = $1 AND seq IS NOT NULL
          AND ($2::bigint IS NULL OR seq < $2)
          AND ($3::text[] IS NULL OR action = ANY($3))
          AND ($4::uuid IS NULL OR project_id = $4)
          AND ($5::uuid IS NULL OR session_id = $5)
          AND ($6::uuid IS NULL OR run_id = $6)
          AND ($7::timestamptz IS NULL OR at >= $7)
          AND ($8::timestamptz IS NULL OR at < $8)
        ORDER BY seq DESC
        LIMIT $9
    ) AS newest
) AS measured
WHERE above < $10
ORDER BY seq DESC;

-- name: erase
-- Blanks the details of these rows; the places of those that had some.
SELECT audit_log_erase AS seq FROM audit_log_erase($1, $2::uuid[]) ORDER BY 1;

-- name: rows_of_project
-- Up to $3 rows of a project that still have details, behind place $4: what was blanked is not gone through again.
SELECT id, seq FROM audit_log
WHERE org_id = $1 AND project_id = $2 AND seq > $4 AND octet_length(details) > 0 AND action <> 'AUDIT_ERASED'
ORDER BY seq LIMIT $3;

-- name: rows_of_sessions
-- Ids of up to $3 rows of these sessions that still have details.
SELECT id FROM audit_log
WHERE org_id = $1 AND session_id = ANY($2::uuid[]) AND octet_length(details) > 0 AND action <> 'AUDIT_ERASED'
LIMIT $3;
