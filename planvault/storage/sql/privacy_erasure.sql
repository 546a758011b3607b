What an erasure finds and removes. $1 is the organisation; whose sessions: of the project $2, or of the person whose
pseudonyms are $3.

-- name: active_sessions
-- Sessions that go on.
(SELECT id, project_id, shard FROM sessions
 WHERE org_id = $1 AND project_id = $2 AND status = 'active' ORDER BY project_id, id DESC LIMIT $4)
UNION ALL
(SELECT id, project_id, shard FROM sessions
 WHERE org_id = $1 AND external_user_hmac = ANY ($3::bytea[]) AND status = 'active'
 ORDER BY external_user_hmac LIMIT $4);

-- name: close_session
UPDATE sessions SET status = 'closed', updated_at = now() WHERE org_id = $1 AND id = $2 AND status = 'active'
RETURNING shard;

-- name: stop_jobs
-- Jobs that would open, or go on in, such a session. Waits for one that is being sent.
UPDATE scheduled_jobs SET state = 'cancelled', updated_at = now()
WHERE org_id = $1 AND state = 'scheduled' AND (
    project_id = $2 OR external_user_hmac = ANY ($3::bytea[])
    OR session_id IN (SELECT id FROM sessions
                      WHERE org_id = $1 AND (project_id = $2 OR external_user_hmac = ANY ($3::bytea[]))))
RETURNING id;

-- name: is_restless
-- Whether something of these sessions is still on its way.
SELECT EXISTS (
    SELECT FROM sessions s
    WHERE s.org_id = $1 AND (s.project_id = $2 OR s.external_user_hmac = ANY ($3::bytea[]))
      AND (EXISTS (SELECT FROM runs r WHERE r.session_id = s.id AND r.is_open)
           OR EXISTS (SELECT FROM commands c WHERE c.session_id = s.id AND c.consumed_at IS NULL)));

-- name: fence
-- No event of these sessions is accepted any more. For the request $4.
INSERT INTO erased_sessions (session_id, org_id, request_id, shard)
SELECT id, org_id, $4, shard FROM sessions
WHERE org_id = $1 AND (project_id = $2 OR external_user_hmac = ANY ($3::bytea[]))
ON CONFLICT DO NOTHING;

-- name: fenced_shards
SELECT DISTINCT shard FROM erased_sessions WHERE org_id = $1 AND request_id = $2;

-- name: await_appends
-- Platform: waits for the appends that are under way in these shards ($1), which hold them while they last.
SELECT shard FROM shard_owner WHERE shard = ANY ($1::integer[]) ORDER BY shard FOR NO KEY UPDATE;

-- name: fenced_sessions
SELECT session_id, shard FROM erased_sessions WHERE org_id = $1 AND request_id = $2 AND session_id > $3
ORDER BY session_id LIMIT $4;

-- name: people_of_project
-- Whoever has sessions or jobs in the project $2, after the pseudonym $3.
SELECT DISTINCT who FROM (
    SELECT external_user_hmac AS who FROM sessions WHERE org_id = $1 AND project_id = $2
    UNION ALL
    SELECT external_user_hmac FROM scheduled_jobs WHERE org_id = $1 AND project_id = $2) AS people
WHERE who IS NOT NULL AND who > $3
ORDER BY who LIMIT $4;

-- name: is_elsewhere
-- Whether the person $3 has anything in another project than $2.
SELECT EXISTS (SELECT FROM sessions WHERE org_id = $1 AND external_user_hmac = $3 AND project_id <> $2)
    OR EXISTS (SELECT FROM scheduled_jobs WHERE org_id = $1 AND external_user_hmac = $3 AND project_id <> $2);

-- name: marked_ids
-- Ids by which an answer of the API is known to concern the target; $4: the request.
SELECT session_id AS id FROM erased_sessions WHERE org_id = $1 AND request_id = $4
UNION ALL
SELECT id FROM sessions WHERE org_id = $1 AND (project_id = $2 OR external_user_hmac = ANY ($3::bytea[]))
UNION ALL
SELECT id FROM scheduled_jobs WHERE org_id = $1 AND (project_id = $2 OR external_user_hmac = ANY ($3::bytea[]));

-- name: answers
-- The next kept answers, all of the organisation, behind ($2, $3, $4); `settled`: old enough for whoever gave the answer
-- to have put it into Redis too.
SELECT project_id, route, key, answer, created_at < now() - interval '15 seconds' AS settled FROM idempotency
WHERE org_id = $1 AND (project_id, route, key) > ($2::uuid, $3::text, $4::text)
ORDER BY project_id, route, key LIMIT $5;

-- name: forget_answers
DELETE FROM idempotency i
USING unnest($2::uuid[], $3::text[], $4::text[]) AS gone (project_id, route, key)
WHERE i.org_id = $1 AND (i.project_id, i.route, i.key) = (gone.project_id, gone.route, gone.key);

-- name: next_sessions
-- In the order of the index that finds them. In that of ids the planner walks everybody's sessions, since it expects the
-- first to come soon: with most of a person's gone they never do.
(SELECT id FROM sessions WHERE org_id = $1 AND project_id = $2 ORDER BY project_id, id DESC LIMIT $4)
UNION ALL
(SELECT id FROM sessions WHERE org_id = $1 AND external_user_hmac = ANY ($3::bytea[])
 ORDER BY external_user_hmac LIMIT $4);

-- name: delete_jobs
-- Up to $4 jobs, with what became of their occurrences.
WITH gone AS (
    DELETE FROM scheduled_jobs WHERE org_id = $1 AND id = ANY (ARRAY(
        SELECT id FROM scheduled_jobs
        WHERE org_id = $1 AND (project_id = $2 OR external_user_hmac = ANY ($3::bytea[])) LIMIT $4))
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: delete_samples
-- Vectors of the person's ($2) prompts that no session of theirs took along.
WITH gone AS (DELETE FROM scenario_samples WHERE org_id = $1 AND subject = ANY ($2::bytea[]) RETURNING 1)
SELECT count(*) FROM gone;

-- name: delete_supporters
WITH gone AS (DELETE FROM scenario_users WHERE org_id = $1 AND subject = ANY ($2::bytea[]) RETURNING 1)
SELECT count(*) FROM gone;

-- name: delete_votes
-- Votes of the person ($2) on anybody's runs.
WITH gone AS (DELETE FROM feedback WHERE org_id = $1 AND voter = ANY ($2::bytea[]) RETURNING 1)
SELECT count(*) FROM gone;

-- name: drop_exports
-- Files of exports of the same person or project, and of exports that hold them among others: of a project, people's,
-- who may have been in it. $4: this request.
WITH found AS (
    SELECT id FROM privacy_requests
    WHERE org_id = $1 AND kind = 'export' AND id <> $4
      AND (project_id = $2 OR subjects && $3::bytea[] OR target = 'organization'
           OR target = 'project' AND cardinality($3::bytea[]) > 0
           OR target = 'external_user' AND $2::uuid IS NOT NULL)
      AND (chunks IS NOT NULL OR state IN ('queued', 'running'))
    FOR UPDATE),
gone AS (DELETE FROM privacy_export_chunks WHERE org_id = $1 AND request_id IN (SELECT id FROM found)),
ended AS (
    UPDATE privacy_requests SET size = NULL, chunks = NULL, sha256 = NULL, expires_at = now(),
           finished_at = coalesce(finished_at, now()),
           -- One that has not ended holds the identifier.
           detail = CASE WHEN state IN ('queued', 'running') THEN '' ELSE detail END,
           state = CASE WHEN state IN ('queued', 'running') THEN 'cancelled' ELSE state END
    WHERE org_id = $1 AND id IN (SELECT id FROM found)
    RETURNING id)
SELECT id FROM ended;

-- name: loose_audit_rows
-- Rows of the audit log that belong to no session, behind place $2: they may name the person.
SELECT id, seq, details FROM audit_log
WHERE org_id = $1 AND seq > $2 AND session_id IS NULL AND octet_length(details) > 0 AND action <> 'AUDIT_ERASED'
ORDER BY seq LIMIT $3;

-- name: delete_project
-- The project itself, with its settings, keys, secrets, scenarios and counts.
DELETE FROM projects WHERE org_id = $1 AND id = $2 RETURNING id;

-- name: hold_project
SELECT id FROM projects WHERE org_id = $1 AND id = $2 FOR UPDATE;

-- name: project_is_empty
SELECT NOT EXISTS (SELECT FROM sessions WHERE org_id = $1 AND project_id = $2)
   AND NOT EXISTS (SELECT FROM scheduled_jobs WHERE org_id = $1 AND project_id = $2);
