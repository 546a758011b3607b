What may go, in small batches. Every tenant's rows: each statement follows its rows' own age, never a caller's wish.

-- name: journals
-- Engine events of up to $2 runs that ended more than $1 ago. Of a session goes what lies below its newest snapshot of
-- that age: a snapshot is written when a run ends and holds all that the session still needs, so that what is below
-- belongs to runs that are over, and reading the record begins above it. Ten minutes more than $1: runs are timed by the
-- database, events by hosts; a run whose snapshot seems too young now would not be looked at again.
WITH ended AS MATERIALIZED (
    SELECT id, session_id
    FROM runs
    WHERE NOT is_open AND NOT pruned AND updated_at < now() - $1::interval - interval '10 minutes'
      AND NOT EXISTS (SELECT FROM event_store WHERE mode = 'file')  -- those are event_pruning.sql's
    ORDER BY updated_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
),
bounds AS MATERIALIZED (
    SELECT s.id AS session_id, s.org_id, coalesce(p.below, 0) AS start,
           (SELECT max(e.seq) FROM events e
            WHERE e.session_id = s.id AND e.type = 'snapshot' AND e.at < now() - $1::interval) AS below
    FROM sessions s
    LEFT JOIN pruned_journals p ON p.session_id = s.id
    WHERE s.id IN (SELECT session_id FROM ended)
),
gone AS (
    DELETE FROM events e
    USING bounds b
    WHERE e.session_id = b.session_id AND e.org_id = b.org_id AND e.seq >= b.start AND e.seq < b.below
      AND e.visibility = 'engine'
      AND NOT EXISTS (SELECT FROM runs r WHERE r.id = e.run_id AND r.is_open)
    RETURNING 1
),
reached AS (
    INSERT INTO pruned_journals (session_id, org_id, below)
    SELECT session_id, org_id, below FROM bounds WHERE below IS NOT NULL
    ON CONFLICT (session_id) DO UPDATE SET below = greatest(pruned_journals.below, excluded.below)
),
marked AS (
    UPDATE runs SET pruned = true WHERE id IN (SELECT id FROM ended)
)
SELECT (SELECT count(*) FROM ended) AS looked_at, (SELECT count(*) FROM gone) AS gone

-- name: commands
-- Up to $2 commands that an append consumed more than $1 ago: what they said stands in the record.
WITH gone AS (
    DELETE FROM commands
    WHERE id = ANY (ARRAY(
        SELECT id FROM commands
        WHERE consumed_at < now() - $1::interval
        ORDER BY consumed_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED))
    RETURNING 1
)
SELECT count(*) AS looked_at, count(*) AS gone FROM gone

-- name: answers
-- Up to $2 kept answers older than $1.
WITH gone AS (
    DELETE FROM idempotency
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency
        WHERE created_at <= now() - $1::interval
        ORDER BY created_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED))
    RETURNING 1
)
SELECT count(*) AS looked_at, count(*) AS gone FROM gone

-- name: leases
-- What nobody has held for $1; $2 is not needed for so few.
WITH duties AS (
    DELETE FROM actor_leases WHERE expires_at < now() - $1::interval RETURNING 1
),
drains AS (
    DELETE FROM cluster_drains WHERE until < now() - $1::interval RETURNING 1
)
SELECT 0 * $2::bigint AS looked_at, (SELECT count(*) FROM duties) + (SELECT count(*) FROM drains) AS gone

-- name: occurrences
-- Up to $2 occurrences of scheduled jobs older than $1. A job's last one stays: it says how the job ended.
WITH gone AS (
    DELETE FROM scheduled_occurrences
    WHERE ctid = ANY (ARRAY(
        SELECT old.ctid FROM scheduled_occurrences old
        WHERE old.at < now() - $1::interval
          AND EXISTS (SELECT FROM scheduled_occurrences later
                      WHERE later.job_id = old.job_id AND later.due_at > old.due_at)
        ORDER BY old.at
        LIMIT $2
        FOR UPDATE OF old SKIP LOCKED))
    RETURNING 1
)
SELECT count(*) AS looked_at, count(*) AS gone FROM gone

-- name: exports
-- Files of up to $2 exports that have expired for $1; the requests stay, as a record.
WITH old AS (
    SELECT id FROM privacy_requests
    WHERE chunks IS NOT NULL AND expires_at <= now() - $1::interval
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM privacy_export_chunks WHERE request_id IN (SELECT id FROM old)
),
told AS (
    UPDATE privacy_requests SET size = NULL, chunks = NULL, sha256 = NULL WHERE id IN (SELECT id FROM old) RETURNING 1
)
SELECT count(*) AS looked_at, count(*) AS gone FROM told

-- name: fences
-- Up to $2 sessions that were erased more than $1 ago: no host goes on by itself for so long.
WITH gone AS (
    DELETE FROM erased_sessions WHERE session_id = ANY (ARRAY(
        SELECT session_id FROM erased_sessions WHERE fenced_at < now() - $1::interval
        ORDER BY fenced_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING 1
)
SELECT count(*) AS looked_at, count(*) AS gone FROM gone

-- name: rate_buckets
-- Up to $2 buckets of rate limits that have been full for $1.
WITH gone AS (
    DELETE FROM rate_buckets
    WHERE subject = ANY (ARRAY(
        SELECT subject FROM rate_buckets
        WHERE full_at < now() - $1::interval
        LIMIT $2
        FOR UPDATE SKIP LOCKED))
    RETURNING 1
)
SELECT count(*) AS looked_at, count(*) AS gone FROM gone

-- name: routing_cache
-- Up to $2 automatic scenarios that nothing was counted of for $1: what they hold of prompts has an end.
WITH gone AS (
    DELETE FROM scenarios
    WHERE id = ANY (ARRAY(
        SELECT id FROM scenarios
        WHERE kind = 'automatic' AND counted_at < now() - $1::interval
        ORDER BY counted_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED))
    RETURNING 1
)
SELECT count(*) AS looked_at, count(*) AS gone FROM gone
