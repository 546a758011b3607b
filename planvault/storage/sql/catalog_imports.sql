Imports. `attempts` fences: a worker whose lease ran out and whose row another worker took writes nothing more.

-- name: insert_import
-- Nothing comes back where the integration is not the organisation's, or is being deleted.
INSERT INTO imports (id, org_id, integration_id, document, spec_url)
SELECT $2, $1, i.id, $4, $5 FROM integrations i WHERE i.org_id = $1 AND i.id = $3 FOR KEY SHARE
RETURNING id, org_id, integration_id, status, total, done, report, notes, error, attempts, created_at, finished_at

-- name: get_import
SELECT id, org_id, integration_id, status, total, done, report, notes, error, attempts, created_at, finished_at
FROM imports WHERE org_id = $1 AND id = $2

-- name: list_imports
SELECT id, org_id, integration_id, status, total, done, report, notes, error, attempts, created_at, finished_at
FROM imports WHERE org_id = $1 AND integration_id = $2 ORDER BY id DESC LIMIT $3

-- name: claim_import
-- The oldest open import that nobody holds, of whatever organisation: workers serve all of them, and the row says which.
-- Imports of one integration run one after the other, in the order in which they were asked for.
UPDATE imports
SET attempts = attempts + 1, leased_until = now() + make_interval(secs => $1),
    status = CASE WHEN status = 'queued' THEN 'parsing' ELSE status END
WHERE id = (
    SELECT candidate.id FROM imports candidate
    WHERE candidate.status NOT IN ('completed', 'failed')
      AND (candidate.leased_until IS NULL OR candidate.leased_until < now())
      AND NOT EXISTS (
          SELECT 1 FROM imports earlier
          WHERE earlier.integration_id = candidate.integration_id AND earlier.id < candidate.id
            AND earlier.status NOT IN ('completed', 'failed'))
    ORDER BY candidate.created_at LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING id, org_id, integration_id, status, attempts, document, spec_url

-- name: renew_import
UPDATE imports SET leased_until = now() + make_interval(secs => $4)
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND status NOT IN ('completed', 'failed')
RETURNING id

-- name: import_parsed
-- The tools are stored, what is left is to embed them. The document is needed no more.
UPDATE imports
SET status = 'embedding', report = $4, notes = $5, total = $6, done = $7, document = NULL
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND status = 'parsing'
RETURNING id

-- name: insert_embedding
-- An import whose tools are stored already and only wait for their vectors.
INSERT INTO imports (id, org_id, integration_id, status, report, total)
VALUES ($2, $1, $3, 'embedding', $4, $5)

-- name: import_progress
UPDATE imports SET done = done + $4, leased_until = now() + make_interval(secs => $5)
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND status = 'embedding'
RETURNING id

-- name: finish_import
UPDATE imports
SET status = $4, error = $5, finished_at = now(), leased_until = NULL, document = NULL,
    done = CASE WHEN $4 = 'completed' THEN total ELSE done END
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND status NOT IN ('completed', 'failed')
RETURNING id
