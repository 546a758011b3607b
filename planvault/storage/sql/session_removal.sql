Sessions that go with all that belongs to them, in portions. $1 organisation, $2 sessions.

-- name: events
-- Up to $3 events.
WITH gone AS (
    DELETE FROM events WHERE org_id = $1 AND ctid = ANY (ARRAY(
        SELECT ctid FROM events WHERE org_id = $1 AND session_id = ANY ($2::uuid[]) LIMIT $3))
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: blobs
-- Up to $3 stored results, with their chunks.
WITH gone AS (
    DELETE FROM blobs WHERE org_id = $1 AND id = ANY (ARRAY(
        SELECT id FROM blobs WHERE org_id = $1 AND session_id = ANY ($2::uuid[]) LIMIT $3))
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: hold
-- Whoever learns of a session, or asks something of it, holds it as well.
SELECT id FROM sessions WHERE org_id = $1 AND id = ANY ($2::uuid[]) ORDER BY id FOR UPDATE;

-- name: parts
-- What goes along with the sessions' rows, counted before it does.
SELECT (SELECT count(*) FROM runs WHERE org_id = $1 AND session_id = ANY ($2::uuid[])) AS runs,
       (SELECT count(*) FROM commands WHERE org_id = $1 AND session_id = ANY ($2::uuid[])) AS commands,
       (SELECT count(*) FROM signals WHERE org_id = $1 AND session_id = ANY ($2::uuid[])) AS signals,
       (SELECT count(*) FROM feedback WHERE org_id = $1 AND session_id = ANY ($2::uuid[])) AS feedback,
       (SELECT count(*) FROM secrets WHERE org_id = $1 AND session_id = ANY ($2::uuid[])) AS secrets,
       (SELECT count(*) FROM scenario_samples WHERE org_id = $1 AND session_id = ANY ($2::uuid[])) AS scenario_samples,
       (SELECT count(*) FROM event_segments WHERE org_id = $1 AND session_id = ANY ($2::uuid[])) AS event_segments;

-- name: jobs
-- Jobs that would have gone on in one of them.
WITH gone AS (DELETE FROM scheduled_jobs WHERE org_id = $1 AND session_id = ANY ($2::uuid[]) RETURNING 1)
SELECT count(*) FROM gone;

-- name: sessions
-- The rows, and by their foreign keys everything that refers to them.
DELETE FROM sessions WHERE org_id = $1 AND id = ANY ($2::uuid[]) RETURNING id, shard, external_user_hmac;

-- name: supporters
-- People ($2) of whom nothing else is left: a scenario does not count them any more.
DELETE FROM scenario_users u
WHERE u.org_id = $1 AND u.subject = ANY ($2::bytea[])
  AND NOT EXISTS (SELECT FROM sessions s WHERE s.org_id = $1 AND s.external_user_hmac = u.subject);
