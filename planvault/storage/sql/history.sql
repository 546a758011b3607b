-- What users see of a session ($1 organisation, $2 session; the caller has found the session in its project).

-- name: newest
-- The newest events before $3 (NULL: the end), newest first: at most $4 rows and $5 bytes, but always one.
SELECT seq, type, run_id, at, payload
FROM (
    SELECT seq, type, run_id, at, payload,
           row_number() OVER newest AS position, sum(octet_length(payload)) OVER newest AS bytes
    FROM (
        SELECT seq, type, run_id, at, payload
        FROM events
        WHERE org_id = $1 AND session_id = $2 AND visibility = 'history' AND ($3::bigint IS NULL OR seq < $3)
        ORDER BY seq DESC
        LIMIT $4
    ) AS page
    WINDOW newest AS (ORDER BY seq DESC)
) AS counted
WHERE position = 1 OR bytes <= $5
ORDER BY seq DESC;

-- name: after
-- The events after $3 in order: at most $4 rows and $5 bytes, but always one.
SELECT seq, type, run_id, at, payload
FROM (
    SELECT seq, type, run_id, at, payload,
           row_number() OVER oldest AS position, sum(octet_length(payload)) OVER oldest AS bytes
    FROM (
        SELECT seq, type, run_id, at, payload
        FROM events
        WHERE org_id = $1 AND session_id = $2 AND visibility = 'history' AND seq > $3
        ORDER BY seq
        LIMIT $4
    ) AS page
    WINDOW oldest AS (ORDER BY seq)
) AS counted
WHERE position = 1 OR bytes <= $5
ORDER BY seq;

-- name: exists_before
-- Whether older history than $3 is left.
SELECT EXISTS (
    SELECT FROM events WHERE org_id = $1 AND session_id = $2 AND visibility = 'history' AND seq < $3);

-- name: heads
-- The newest seq of each of these (organisation, session) pairs; sessions without events are left out.
SELECT session_id, seq FROM event_heads_of($1, $2);
