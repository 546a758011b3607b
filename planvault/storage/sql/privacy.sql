Requests for export and erasure. $1 is the organisation but for what the worker asks across organisations.

-- name: hold
-- Whoever makes sessions or jobs of the person or the project $2 waits, and has been waited for.
SELECT pg_advisory_xact_lock(erasure_lock($1, $2));

-- name: open_like_this
-- A request for the same that has not ended.
SELECT {columns} FROM privacy_requests
WHERE org_id = $1 AND kind = $2 AND target = $3 AND project_id IS NOT DISTINCT FROM $4 AND subjects = $5
  AND state IN ('queued', 'running')
ORDER BY id LIMIT 1;

-- name: insert
INSERT INTO privacy_requests (org_id, id, kind, target, project_id, subjects, voters, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING {columns};

-- name: find
SELECT {columns} FROM privacy_requests WHERE org_id = $1 AND kind = $2 AND id = $3;

-- name: page
-- Newest first, before $3 (NULL: from the newest).
SELECT {columns} FROM privacy_requests
WHERE org_id = $1 AND kind = $2 AND ($3::uuid IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4;

-- name: cancel
-- Of what no worker has taken up; an export also while it is written.
UPDATE privacy_requests SET state = 'cancelled', finished_at = now(), detail = $4
WHERE org_id = $1 AND kind = $2 AND id = $3
  AND (state = 'queued' OR state = 'running' AND kind = 'export')
RETURNING {columns};

-- name: hold_request
SELECT state FROM privacy_requests WHERE org_id = $1 AND kind = $2 AND id = $3 FOR UPDATE;

-- name: drop_file
-- The file of an export goes; the request stays as a record.
WITH gone AS (DELETE FROM privacy_export_chunks WHERE org_id = $1 AND request_id = $2)
UPDATE privacy_requests SET size = NULL, chunks = NULL, sha256 = NULL, expires_at = now()
WHERE org_id = $1 AND id = $2;

-- name: detail
SELECT detail FROM privacy_requests WHERE org_id = $1 AND id = $2;

-- name: claim
-- Of every organisation: the request of kind $2 that has waited longest, for $1. Not the erasure of a whole organisation,
-- which is its deletion's (org_deletion.sql).
UPDATE privacy_requests SET state = 'running', attempts = attempts + 1, leased_until = now() + $1::interval,
       started_at = coalesce(started_at, now())
WHERE id = (SELECT id FROM privacy_requests
            WHERE kind = $2 AND state IN ('queued', 'running') AND (leased_until IS NULL OR leased_until < now())
              AND NOT (kind = 'erasure' AND target = 'organization')
            ORDER BY coalesce(leased_until, created_at), id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {columns};

-- name: keep
-- The request $2 is still in the hands of its $3-th claim, for $4 longer.
UPDATE privacy_requests SET leased_until = now() + $4::interval
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'running'
RETURNING id;

-- name: let_go
-- Whoever is free goes on, after $4. $5: why this one did not.
UPDATE privacy_requests SET leased_until = now() + $4::interval, error = $5
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'running';

-- name: progress
-- $4: what is added to the counts; the claim goes on for $5 more. Nothing comes back where another one has taken over.
UPDATE privacy_requests r
SET counts = r.counts || (SELECT coalesce(jsonb_object_agg(key, coalesce((r.counts ->> key)::bigint, 0) + value::bigint),
                                          '{}') FROM jsonb_each_text($4::jsonb)),
    leased_until = now() + $5::interval, error = NULL
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'running'
RETURNING id;

-- name: enter_stage
UPDATE privacy_requests SET stage = $4, entered_at = now(), position = '{}'
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'running'
RETURNING id;

-- name: stage_age
-- Seconds since the stage began, in the database's time.
SELECT extract(epoch FROM now() - entered_at)::float8 FROM privacy_requests WHERE org_id = $1 AND id = $2;

-- name: position
SELECT position FROM privacy_requests WHERE org_id = $1 AND id = $2;

-- name: set_position
UPDATE privacy_requests SET position = $3 WHERE org_id = $1 AND id = $2;

-- name: counts
SELECT counts FROM privacy_requests WHERE org_id = $1 AND id = $2;

-- name: finish
UPDATE privacy_requests SET state = $4, finished_at = now(), error = $5, detail = $6, leased_until = NULL
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'running'
RETURNING id;

-- name: restart_file
-- What an earlier attempt at the file has left.
WITH gone AS (DELETE FROM privacy_export_chunks WHERE org_id = $1 AND request_id = $2)
UPDATE privacy_requests SET counts = '{}', sealed_for = $4
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'running'
RETURNING id;

-- name: add_chunk
-- One chunk of a file whose writer has it in hand, and keeps it for $6 more.
WITH mine AS (
    UPDATE privacy_requests SET leased_until = now() + $6::interval
    WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'running'
    RETURNING id)
INSERT INTO privacy_export_chunks (org_id, request_id, position, payload)
SELECT $1, mine.id, $4, $5 FROM mine
RETURNING position;

-- name: finish_file
UPDATE privacy_requests SET size = $4, chunks = $5, sha256 = $6, expires_at = now() + $7::interval
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'running'
RETURNING id;

-- name: file
-- A finished file that has not expired.
SELECT size, chunks, sha256, sealed_for FROM privacy_requests
WHERE org_id = $1 AND id = $2 AND kind = 'export' AND state = 'completed' AND chunks IS NOT NULL AND expires_at > now();

-- name: chunks
SELECT position, payload FROM privacy_export_chunks
WHERE org_id = $1 AND request_id = $2 AND position >= $3 ORDER BY position LIMIT $4;

-- name: user_has_key
-- Which of these pseudonyms has a key of its own.
SELECT subject FROM data_keys
WHERE org_id = $1 AND purpose = 'user' AND subject = ANY ($2::bytea[]) AND status = 'active'
ORDER BY version DESC LIMIT 1;
