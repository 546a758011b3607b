-- name: page
-- The session's events behind $3: at most $4 rows and $5 bytes, but always one.
SELECT seq, type, visibility, run_id, at, payload FROM (
    SELECT seq, type, visibility, run_id, at, payload,
           row_number() OVER oldest AS position, sum(octet_length(payload)) OVER oldest AS bytes
    FROM (SELECT seq, type, visibility, run_id, at, payload FROM events
          WHERE org_id = $1 AND session_id = $2 AND seq > $3 ORDER BY seq LIMIT $4) AS page
    WINDOW oldest AS (ORDER BY seq)) AS counted
WHERE position = 1 OR bytes <= $5
ORDER BY seq;
