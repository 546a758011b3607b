-- Tokens of signals.

-- name: open
-- Make a token known, or set the end of its wait; what was delivered or is over stays so.
INSERT INTO signals (token_id, org_id, project_id, session_id, run_id, name, expires_at)
VALUES ($4, $1, $2, $3, $5, $6, $7)
ON CONFLICT (token_id) DO UPDATE SET expires_at = coalesce(excluded.expires_at, signals.expires_at)

-- name: close
-- The wait is over unless its signal was delivered before; true where it was.
UPDATE signals
SET status = CASE status WHEN 'open' THEN 'expired' ELSE status END,
    settled_at = coalesce(settled_at, clock_timestamp())
WHERE org_id = $1 AND project_id = $2 AND session_id = $3 AND token_id = $4
RETURNING status = 'delivered'

-- name: organization
-- Whose project this is.
SELECT organization_of_project($1)

-- name: hold
-- A token for a delivery: its row and its run's held until the transaction ends, so that neither changes meanwhile.
-- `is_over`: nobody waits for it any more, by the clock of the database or because its run has ended.
SELECT s.org_id, s.session_id, s.run_id, s.status, s.payload_mac, session.shard,
       coalesce(s.expires_at <= clock_timestamp(), false) OR NOT r.is_open OR session.status <> 'active' AS is_over
FROM signals s
JOIN runs r ON r.id = s.run_id
JOIN sessions session ON session.id = s.session_id
WHERE s.org_id = $3 AND s.project_id = $1 AND s.token_id = $2
FOR UPDATE OF s
FOR SHARE OF r, session

-- name: deliver
UPDATE signals SET status = 'delivered', payload_mac = $2, settled_at = clock_timestamp() WHERE org_id = $3 AND token_id = $1

-- name: waiting
-- The session's open tokens, oldest first, of runs that go on.
SELECT s.token_id, s.run_id, s.name, s.expires_at, s.created_at
FROM signals s
JOIN runs r ON r.id = s.run_id AND r.is_open
WHERE s.org_id = $1 AND s.project_id = $2 AND s.session_id = $3 AND s.status = 'open'
  AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
ORDER BY s.created_at
LIMIT 200
