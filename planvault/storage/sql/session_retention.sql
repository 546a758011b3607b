Sessions that are older than their organisation keeps them, and that nobody uses.

-- name: aged
-- Of every organisation: up to $2 sessions, the longest untouched first; $1: the days of who has decided nothing. In use
-- is what has an open run or a waiting command, what was asked or ran since, and what a job will go on in.
SELECT s.id, s.org_id, now() - make_interval(days => coalesce((o.settings -> 'retention' ->> 'sessions_days')::integer, $1))
       AS cutoff
FROM sessions s JOIN organizations o ON o.id = s.org_id
WHERE s.updated_at < now() - make_interval(days => coalesce((o.settings -> 'retention' ->> 'sessions_days')::integer, $1))
  AND NOT EXISTS (SELECT FROM runs r WHERE r.session_id = s.id AND (r.is_open OR r.updated_at >=
      now() - make_interval(days => coalesce((o.settings -> 'retention' ->> 'sessions_days')::integer, $1))))
  AND NOT EXISTS (SELECT FROM commands c WHERE c.session_id = s.id AND c.consumed_at IS NULL)
  AND NOT EXISTS (SELECT FROM scheduled_jobs j WHERE j.session_id = s.id AND j.state = 'scheduled')
ORDER BY s.updated_at LIMIT $2;

-- name: hold
-- Whoever asks something of such a session waits; one that somebody asks of now is left for another time.
SELECT id FROM sessions WHERE org_id = $1 AND id = ANY ($2::uuid[]) FOR UPDATE SKIP LOCKED;

-- name: retire
-- Asked again of those that are held: what is still old and unused is closed, and nothing can be asked of it any more.
UPDATE sessions s SET status = 'closed'
WHERE s.org_id = $1 AND s.id = ANY ($2::uuid[]) AND s.updated_at < $3
  AND NOT EXISTS (SELECT FROM runs r WHERE r.session_id = s.id AND (r.is_open OR r.updated_at >= $3))
  AND NOT EXISTS (SELECT FROM commands c WHERE c.session_id = s.id AND c.consumed_at IS NULL)
  AND NOT EXISTS (SELECT FROM scheduled_jobs j WHERE j.session_id = s.id AND j.state = 'scheduled')
RETURNING s.id;

-- name: audit_days
-- How long the organisation keeps its audit log; NULL where it has decided nothing.
SELECT (settings -> 'retention' ->> 'audit_days')::integer FROM organizations WHERE id = $1;
