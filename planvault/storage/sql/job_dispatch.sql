-- The scheduler's side of scheduled jobs. Schedulers serve all organisations: `claim` says whose each job is, and every
-- write is in that scope ($1 organisation, $2 project, $3 job).

-- name: claim
-- Due jobs that no other scheduler has in hand, longest due first; held until the transaction ends.
SELECT id, org_id, project_id, target, session_id, payload, tags, settings, external_user_hmac, rule, run_at, attempts,
       coalesce($1::timestamptz, now()) AS now
FROM scheduled_jobs
WHERE state = 'scheduled' AND wake_at <= coalesce($1::timestamptz, now()) AND organization_is_live(org_id)
ORDER BY wake_at, id
LIMIT $2
FOR UPDATE SKIP LOCKED;

-- name: next_wake
-- Seconds until the next job is due, negative where one is overdue, NULL where none waits.
SELECT extract(epoch FROM min(wake_at) - coalesce($1::timestamptz, now()))::float8
FROM scheduled_jobs WHERE state = 'scheduled' AND organization_is_live(org_id);

-- name: record_sent
-- The occurrence at $4 was sent: to the session $5 as message $6.
INSERT INTO scheduled_occurrences (org_id, project_id, job_id, due_at, session_id, message_id)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: record_given_up
-- The occurrence at $4 will never be sent.
INSERT INTO scheduled_occurrences (org_id, project_id, job_id, due_at, error) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (job_id, due_at) DO NOTHING;

-- name: advance
-- The next occurrence of a recurring job.
UPDATE scheduled_jobs
SET run_at = $4, wake_at = $4, attempts = 0, last_error = $5, updated_at = now()
WHERE org_id = $1 AND project_id = $2 AND id = $3;

-- name: end
-- No occurrence is left. $7: the payload without its secrets; NULL where it cannot be read.
UPDATE scheduled_jobs
SET state = $4, run_at = $5, last_error = $6, payload = coalesce($7, payload), updated_at = now()
WHERE org_id = $1 AND project_id = $2 AND id = $3;

-- name: put_off
-- An attempt failed; look again after $4 seconds. The occurrence stays the same.
UPDATE scheduled_jobs
SET attempts = attempts + 1, wake_at = coalesce($6::timestamptz, now()) + make_interval(secs => $4), last_error = $5,
    updated_at = now()
WHERE org_id = $1 AND project_id = $2 AND id = $3;
