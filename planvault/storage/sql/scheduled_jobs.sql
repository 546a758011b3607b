-- Scheduled jobs, in the scope of one project ($1 organisation, $2 project).

-- name: insert
-- A new job; nothing comes back where the project has one under this idempotency key, or is not the organisation's.
INSERT INTO scheduled_jobs (org_id, project_id, id, target, session_id, payload, secret_names, tags, settings,
                            external_user_hmac, rule, run_at, wake_at, idempotency_key)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13
WHERE EXISTS (SELECT FROM projects WHERE org_id = $1 AND id = $2)
ON CONFLICT (project_id, idempotency_key) DO NOTHING
RETURNING id;

-- name: find_by_key
-- The job that an earlier call with this key made.
SELECT id, run_at FROM scheduled_jobs WHERE org_id = $1 AND project_id = $2 AND idempotency_key = $3;

-- name: page
-- Newest first, before $3 (NULL: from the newest); $4: exactly this one; filtered by status, target, the session that is
-- resumed or was opened, and whether the job recurs. At most $9 rows and $10 bytes of payload, but always one; `found`
-- counts the rows before the bytes were. A dispatched job is as far as the run that its last occurrence opened.
WITH shown AS (
    SELECT job.id, job.target, job.session_id, job.payload, job.secret_names, job.tags, job.settings,
           job.external_user_hmac IS NOT NULL AS has_external_user, job.external_user_hmac AS subject, job.rule, job.run_at, job.attempts, job.last_error,
           job.created_at, job.updated_at,
           past.due_at AS past_due_at, past.at AS past_at, past.session_id AS past_session_id,
           past.message_id AS past_message_id, past.error AS past_error,
           past.run_id AS past_run_id, past.run_status AS past_run_status,
           CASE WHEN job.state <> 'dispatched' OR past.is_open IS NOT false THEN job.state
                WHEN past.run_status = 'completed' THEN 'completed'
                ELSE 'failed' END AS status
    FROM scheduled_jobs AS job
    LEFT JOIN LATERAL (
        SELECT one.due_at, one.at, one.session_id, one.message_id, one.error,
               run.id AS run_id, run.status AS run_status, run.is_open
        FROM scheduled_occurrences AS one
        LEFT JOIN runs AS run ON run.message_id = one.message_id AND run.session_id = one.session_id
        WHERE one.job_id = job.id
        ORDER BY one.due_at DESC, run.id DESC
        LIMIT 1
    ) AS past ON true
    WHERE job.org_id = $1 AND job.project_id = $2
      AND ($3::uuid IS NULL OR job.id < $3)
      AND ($4::uuid IS NULL OR job.id = $4)
      AND ($6::text IS NULL OR job.target = $6)
      AND ($8::boolean IS NULL OR (job.rule IS NOT NULL) = $8)
),
page AS (
    SELECT * FROM shown
    WHERE ($5::text IS NULL OR status = $5) AND ($7::uuid IS NULL OR $7 IN (session_id, past_session_id))
    ORDER BY id DESC
    LIMIT $9
),
counted AS (
    SELECT page.*, row_number() OVER newest AS position, sum(octet_length(payload)) OVER newest AS bytes,
           count(*) OVER () AS found
    FROM page
    WINDOW newest AS (ORDER BY id DESC)
)
SELECT * FROM counted WHERE position = 1 OR bytes <= $10 ORDER BY id DESC;

-- name: occurrences
-- What became of a job's occurrences, latest first, before $4 (NULL: from the latest).
SELECT one.due_at, one.at, one.session_id, one.message_id, one.error, run.id AS run_id, run.status AS run_status
FROM scheduled_occurrences AS one
LEFT JOIN LATERAL (
    SELECT id, status FROM runs
    WHERE message_id = one.message_id AND session_id = one.session_id
    ORDER BY id DESC
    LIMIT 1
) AS run ON true
WHERE one.org_id = $1 AND one.project_id = $2 AND one.job_id = $3 AND ($4::timestamptz IS NULL OR one.due_at < $4)
ORDER BY one.due_at DESC
LIMIT $5;

-- name: hold_project
-- Whoever makes a job in the project waits for the one before.
SELECT FROM projects WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE;

-- name: count_live
SELECT count(*) FROM scheduled_jobs WHERE org_id = $1 AND project_id = $2 AND state = 'scheduled';

-- name: hold
-- A job for a change of its state; waits for a dispatch that is under way.
SELECT state, payload, external_user_hmac AS subject FROM scheduled_jobs WHERE org_id = $1 AND project_id = $2 AND id = $3 FOR UPDATE;

-- name: cancel
-- No further occurrence; the caller holds the row.
UPDATE scheduled_jobs SET state = 'cancelled', payload = $4, updated_at = now()
WHERE org_id = $1 AND project_id = $2 AND id = $3;
