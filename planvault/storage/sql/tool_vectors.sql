Vectors of many integrations' tools at once. $1 is always the organisation, $2 a bulk import, whose documents' tools are
meant.

-- name: pending
-- Active tools without a vector of the model $3 and of their present text, with the length of that text.
SELECT i.tool_id, length(t.document) AS length
FROM bulk_import_documents d
JOIN tool_index i ON i.org_id = $1 AND i.integration_id = d.integration_id
JOIN tools t ON t.id = i.tool_id AND t.version = i.version
WHERE d.org_id = $1 AND d.import_id = $2 AND i.active
  AND (i.embedding IS NULL OR i.embedding_model IS DISTINCT FROM $3
       OR i.embedded_sha256 IS DISTINCT FROM i.document_sha256)
ORDER BY length(t.document), i.tool_id

-- name: texts
-- Of these tools; those that got a vector in the meantime are left out.
SELECT i.tool_id, i.integration_id, i.document_sha256, t.document
FROM tool_index i JOIN tools t ON t.id = i.tool_id AND t.version = i.version
WHERE i.org_id = $1 AND i.tool_id = ANY($2::uuid[]) AND i.active
  AND (i.embedding IS NULL OR i.embedding_model IS DISTINCT FROM $3
       OR i.embedded_sha256 IS DISTINCT FROM i.document_sha256)
ORDER BY length(t.document), i.tool_id

-- name: incoming
CREATE TEMP TABLE IF NOT EXISTS tool_vectors_incoming (
    tool_id uuid PRIMARY KEY, document_sha256 bytea, embedding vector(384)
) ON COMMIT DROP;
TRUNCATE pg_temp.tool_vectors_incoming;

-- name: store_incoming
-- A tool whose text has changed since it was read keeps what it has.
WITH stored AS (
    UPDATE tool_index i
    SET embedding = made.embedding, embedding_model = $2, embedded_sha256 = made.document_sha256, revision = $3
    FROM pg_temp.tool_vectors_incoming made
    WHERE i.org_id = $1 AND i.tool_id = made.tool_id AND i.document_sha256 = made.document_sha256
      AND (i.embedding_model IS DISTINCT FROM $2 OR i.embedded_sha256 IS DISTINCT FROM made.document_sha256)
    RETURNING 1)
SELECT count(*) FROM stored
