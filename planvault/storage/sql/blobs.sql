Stored results, chunk by chunk ($1 organisation, $2 session where a query reads).

-- name: begin
-- A blob that is about to be written; nothing references it yet.
INSERT INTO blobs (id, org_id, project_id, session_id, run_id, purpose) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING

-- name: add_chunk
-- One sealed chunk. Written again after a lost answer it is the same chunk.
INSERT INTO blob_chunks (blob_id, position, payload)
SELECT id, $3, $4 FROM blobs WHERE org_id = $1 AND id = $2
ON CONFLICT DO NOTHING

-- name: finish
-- The blob is complete.
UPDATE blobs SET size = $3, chunks = $4, detail = $5 WHERE org_id = $1 AND id = $2

-- name: discard
-- A blob that no event will reference.
DELETE FROM blobs WHERE org_id = $1 AND id = $2 AND NOT kept

-- name: find
-- A complete blob of the session.
SELECT size, chunks, detail, kept, purpose FROM blobs
WHERE org_id = $1 AND session_id = $2 AND id = $3 AND size IS NOT NULL

-- name: chunks
-- The next chunks in order: from position $4, at most $5.
SELECT c.position, c.payload
FROM blobs b JOIN blob_chunks c ON c.blob_id = b.id
WHERE b.org_id = $1 AND b.session_id = $2 AND b.id = $3 AND c.position >= $4
ORDER BY c.position
LIMIT $5

-- name: sweep
-- Of every tenant: blobs older than $1 that no committed event references, at most $2.
DELETE FROM blobs WHERE id IN (
    SELECT id FROM blobs WHERE NOT kept AND created_at < now() - $1::interval LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING id

-- name: sweep_fragments
-- Of every tenant: what ended runs derived from their results, older than $1, at most $2. Nobody reads it any more.
DELETE FROM blobs WHERE id IN (
    SELECT b.id FROM blobs b JOIN runs r ON r.id = b.run_id
    WHERE b.purpose = 'fragment' AND NOT r.is_open AND b.created_at < now() - $1::interval
      AND r.updated_at < now() - $1::interval
    LIMIT $2 FOR UPDATE OF b SKIP LOCKED)
RETURNING id
