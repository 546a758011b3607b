Imports of many documents as one job. `attempts` fences: who lost the job writes nothing more. $1 is the organisation,
except where a worker looks for work of any.

-- name: create
INSERT INTO bulk_imports (id, org_id, name_prefix, prune) VALUES ($2, $1, $3, $4)

-- name: jobs
-- One job ($2), or a page of them, newest first, before the id $3. Counts are of the documents' own rows.
SELECT b.id, b.org_id, b.name_prefix, b.prune, b.status, b.stage, b.stage_began_at, b.stage_began_bytes,
       b.to_embed, b.embedded, b.timings, b.error, b.attempts, b.created_at, b.started_at, b.finished_at,
       CASE WHEN b.status = 'running' THEN extract(epoch FROM now() - b.stage_started_at)::float8 END AS stage_seconds,
       d.*
FROM (
    SELECT * FROM bulk_imports
    WHERE org_id = $1 AND ($2::uuid IS NULL OR id = $2) AND ($3::uuid IS NULL OR id < $3)
    ORDER BY id DESC LIMIT $4) AS b,
LATERAL (
    SELECT count(*) FILTER (WHERE status = 'waiting') AS documents_waiting,
           count(*) FILTER (WHERE status = 'stored') AS documents_stored,
           count(*) FILTER (WHERE status = 'unchanged') AS documents_unchanged,
           count(*) FILTER (WHERE status = 'refused') AS documents_refused,
           count(*) FILTER (WHERE status = 'vanished') AS documents_vanished,
           coalesce(sum(created), 0) AS created, coalesce(sum(updated), 0) AS updated,
           coalesce(sum(unchanged), 0) AS unchanged, coalesce(sum(removed), 0) AS removed,
           coalesce(sum(skipped), 0) AS skipped, coalesce(sum(size), 0)::bigint AS size,
           coalesce(sum(size) FILTER (WHERE status <> 'waiting'), 0)::bigint AS size_done
    FROM bulk_import_documents WHERE import_id = b.id) AS d
ORDER BY b.id DESC

-- name: status
SELECT status FROM bulk_imports WHERE org_id = $1 AND id = $2

-- name: put_document
-- Nothing comes back where the job takes no documents. Its row is held, so that it cannot start in between.
INSERT INTO bulk_import_documents (import_id, org_id, path, sha256, size, body)
SELECT id, org_id, $3, $4, $5, $6 FROM bulk_imports WHERE org_id = $1 AND id = $2 AND status = 'uploading' FOR SHARE
ON CONFLICT (import_id, path) DO UPDATE
SET sha256 = excluded.sha256, size = excluded.size, body = excluded.body
RETURNING path

-- name: documents
-- By path, after $3; of one status where $5 is given.
SELECT path, sha256, size, status, alias, integration_id, created, updated, unchanged, removed, skipped
FROM bulk_import_documents
WHERE org_id = $1 AND import_id = $2 AND path > $3 AND ($5::text IS NULL OR status = $5)
ORDER BY path LIMIT $4

-- name: findings
-- By document and place in it, after the path $3 and position $4; of one outcome or document where they are given.
SELECT path, position, operation, outcome, tool, problems FROM bulk_import_findings
WHERE import_id = (SELECT id FROM bulk_imports WHERE org_id = $1 AND id = $2)
  AND (path, position) > ($3, $4) AND ($6::text IS NULL OR outcome = $6) AND ($7::text IS NULL OR path = $7)
ORDER BY path, position LIMIT $5

-- name: start
UPDATE bulk_imports SET status = 'queued'
WHERE org_id = $1 AND id = $2 AND status = 'uploading'
  AND EXISTS (SELECT 1 FROM bulk_import_documents d WHERE d.import_id = bulk_imports.id)
RETURNING id

-- name: cancel
UPDATE bulk_imports SET status = 'cancelled', finished_at = now(), leased_until = NULL
WHERE org_id = $1 AND id = $2 AND status IN ('uploading', 'queued', 'running')
RETURNING id

-- name: drop_bodies
-- Of a job that has ended: what was not read is not read any more.
UPDATE bulk_import_documents SET body = NULL WHERE org_id = $1 AND import_id = $2 AND body IS NOT NULL

-- name: expire
-- Of any organisation: uploads that nobody finished, and reports that are old.
WITH given_up AS (
    UPDATE bulk_imports SET status = 'cancelled', finished_at = now(), error = $2
    WHERE status = 'uploading' AND created_at < now() - make_interval(secs => $1) RETURNING id),
dropped AS (
    UPDATE bulk_import_documents SET body = NULL WHERE import_id IN (SELECT id FROM given_up) AND body IS NOT NULL)
DELETE FROM bulk_imports
WHERE status IN ('completed', 'failed', 'cancelled') AND finished_at < now() - make_interval(secs => $3)

-- name: take_turns
-- Claims see each other: two at once would take two jobs of one organisation, which then kept each other waiting for
-- ever. Held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('planvault.bulk_imports', 0))

-- name: claim
-- The oldest job that nobody holds, of whatever organisation: workers serve all of them, and the row says which. An
-- organisation's jobs run one after the other.
UPDATE bulk_imports
SET attempts = attempts + 1, leased_until = now() + make_interval(secs => $1), status = 'running',
    started_at = coalesce(started_at, now())
WHERE id = (
    SELECT candidate.id FROM bulk_imports candidate
    WHERE candidate.status IN ('queued', 'running')
      AND (candidate.leased_until IS NULL OR candidate.leased_until < now())
      AND NOT EXISTS (
          SELECT 1 FROM bulk_imports other
          WHERE other.org_id = candidate.org_id AND other.id <> candidate.id AND other.status = 'running')
    ORDER BY candidate.id LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING id, org_id, name_prefix, prune, stage, attempts

-- name: renew
UPDATE bulk_imports SET leased_until = now() + make_interval(secs => $4)
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND status = 'running'
RETURNING id

-- name: patience
-- A write of the job holds its row for as long as it takes to store a large document: who renews or cancels waits.
SET LOCAL lock_timeout = '5min'

-- name: hold
-- Until the transaction ends nobody takes the job over, and nobody cancels it.
SELECT id FROM bulk_imports WHERE org_id = $1 AND id = $2 AND attempts = $3 AND status = 'running' FOR SHARE

-- name: enter_stage
-- The stage before has ended: its seconds are added to what earlier attempts took.
UPDATE bulk_imports
SET timings = CASE WHEN stage = $4 OR stage_started_at IS NULL THEN timings ELSE timings || jsonb_build_object(
        stage, round(coalesce((timings->>stage)::numeric, 0) + extract(epoch FROM now() - stage_started_at), 3)) END,
    stage = $4, stage_started_at = now(), to_embed = CASE WHEN $4 = 'embedding' THEN $5 ELSE to_embed END,
    embedded = CASE WHEN $4 = 'embedding' THEN 0 ELSE embedded END,
    stage_began_at = CASE WHEN $4 = 'documents' THEN (
        SELECT coalesce(sum(created + updated + unchanged + skipped), 0) FROM bulk_import_documents
        WHERE import_id = $2) ELSE 0 END,
    stage_began_bytes = (
        SELECT coalesce(sum(size), 0) FROM bulk_import_documents WHERE import_id = $2 AND status <> 'waiting')
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND status = 'running'
RETURNING id

-- name: count_embedded
UPDATE bulk_imports SET embedded = embedded + $4
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND status = 'running'
RETURNING id

-- name: finish
UPDATE bulk_imports
SET status = $4, error = $5, finished_at = now(), leased_until = NULL,
    timings = CASE WHEN stage_started_at IS NULL THEN timings ELSE timings || jsonb_build_object(
        stage, round(coalesce((timings->>stage)::numeric, 0) + extract(epoch FROM now() - stage_started_at), 3)) END
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND status = 'running'
RETURNING id
