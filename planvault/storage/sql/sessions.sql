-- Sessions, in the scope of one project ($1 organisation, $2 project).

-- name: insert
-- A new session; its context is sealed before the insert because the id is part of the seal.
INSERT INTO sessions (org_id, project_id, id, shard, external_user_hmac, tags, context, settings)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
WHERE EXISTS (SELECT FROM projects WHERE org_id = $1 AND id = $2)
RETURNING id, shard, status, external_user_hmac IS NOT NULL AS has_external_user, tags, context, settings,
          created_at, updated_at;

-- name: find
-- One session of the project.
SELECT id, shard, status, external_user_hmac IS NOT NULL AS has_external_user, tags, context, settings,
       created_at, updated_at
FROM sessions
WHERE org_id = $1 AND project_id = $2 AND id = $3;

-- name: external_user
-- Whose session it is: the keyed hash, NULL for nobody's.
SELECT external_user_hmac FROM sessions WHERE org_id = $1 AND project_id = $2 AND id = $3;

-- name: find_open_for_command
-- Shard and status, the row held so that a close cannot slip between this check and the command's insert.
SELECT shard, status
FROM sessions
WHERE org_id = $1 AND project_id = $2 AND id = $3
FOR SHARE;

-- name: page
-- Newest first, after the session $3 (NULL: from the newest), filtered by tag, status and external user: at most $7 rows
-- and $8 bytes, but always one. `found` counts the rows before the bytes were.
SELECT id, shard, status, has_external_user, subject, tags, context, settings, created_at, updated_at, found
FROM (
    SELECT page.*, row_number() OVER newest AS position, sum(octet_length(context)) OVER newest AS bytes,
           count(*) OVER () AS found
    FROM (
        SELECT id, shard, status, external_user_hmac IS NOT NULL AS has_external_user, external_user_hmac AS subject,
               tags, context, settings, created_at, updated_at
        FROM sessions
        WHERE org_id = $1 AND project_id = $2
          AND ($3::uuid IS NULL OR id < $3)
          AND ($4::text IS NULL OR tags @> ARRAY[$4::text])
          AND ($5::text IS NULL OR status = $5)
          AND ($6::bytea IS NULL OR external_user_hmac = $6)
        ORDER BY id DESC
        LIMIT $7
    ) AS page
    WINDOW newest AS (ORDER BY id DESC)
) AS counted
WHERE position = 1 OR bytes <= $8
ORDER BY id DESC;

-- name: close
-- Mark closed; returns nothing where it is closed already or not there.
UPDATE sessions
SET status = 'closed', updated_at = now()
WHERE org_id = $1 AND project_id = $2 AND id = $3 AND status = 'active'
RETURNING shard;

-- name: is_settled
-- Whether the session is closed and nothing of it is left to happen: no command waits, no run is open.
SELECT status = 'closed'
   AND NOT EXISTS (SELECT FROM commands WHERE session_id = $3 AND consumed_at IS NULL)
   AND NOT EXISTS (SELECT FROM runs WHERE session_id = $3 AND is_open)
FROM sessions
WHERE org_id = $1 AND project_id = $2 AND id = $3;
