Documents of a bulk import, as its worker sees them. $1 is the organisation, $2 the job.

-- name: mark_unchanged
-- The very bytes that the integration was made of, read by this reader ($4): its tools are what they would become.
UPDATE bulk_import_documents d
SET status = 'unchanged', body = NULL, alias = i.alias, integration_id = i.id,
    unchanged = (SELECT count(*) FROM tools t WHERE t.integration_id = i.id AND t.current)
FROM integrations i
WHERE d.org_id = $1 AND d.import_id = $2 AND d.status = 'waiting' AND i.org_id = $1
  AND i.catalog_prefix = $3 AND i.catalog_path = d.path AND i.spec_sha256 = d.sha256 AND i.extraction >= $4

-- name: keep_aliases
-- A document that was imported before keeps its integration.
UPDATE bulk_import_documents d SET alias = i.alias, integration_id = i.id
FROM integrations i
WHERE d.org_id = $1 AND d.import_id = $2 AND d.alias IS NULL
  AND i.org_id = $1 AND i.catalog_prefix = $3 AND i.catalog_path = d.path

-- name: without_alias
SELECT path FROM bulk_import_documents WHERE org_id = $1 AND import_id = $2 AND alias IS NULL ORDER BY path

-- name: taken_aliases
-- Of integrations, and given out in this job.
SELECT alias FROM integrations WHERE org_id = $1
UNION SELECT alias FROM bulk_import_documents WHERE org_id = $1 AND import_id = $2 AND alias IS NOT NULL

-- name: give_aliases
UPDATE bulk_import_documents d SET alias = given.alias
FROM unnest($3::text[], $4::text[]) AS given (path, alias)
WHERE d.org_id = $1 AND d.import_id = $2 AND d.path = given.path

-- name: waiting
SELECT path, size FROM bulk_import_documents
WHERE org_id = $1 AND import_id = $2 AND status = 'waiting' ORDER BY path

-- name: waits_before
SELECT EXISTS (
    SELECT FROM bulk_import_documents
    WHERE org_id = $1 AND import_id = $2 AND status = 'waiting'
      AND path < (SELECT min(own.path) FROM unnest($3::text[]) AS own (path)))

-- name: bodies
SELECT path, sha256, body FROM bulk_import_documents
WHERE org_id = $1 AND import_id = $2 AND path = ANY($3::text[]) AND status = 'waiting' ORDER BY path

-- name: open_documents
-- Those that still wait, held until the transaction ends: a write that is repeated finds nothing to do.
SELECT path, alias, sha256 FROM bulk_import_documents
WHERE org_id = $1 AND import_id = $2 AND path = ANY($3::text[]) AND status = 'waiting' ORDER BY path FOR UPDATE

-- name: integrations_of
-- The integrations of these documents.
SELECT i.id, i.org_id, i.alias, i.display_name, i.source, i.base_url, i.version, i.catalog_path
FROM integrations i WHERE i.org_id = $1 AND i.catalog_prefix = $2 AND i.catalog_path = ANY($3::text[])

-- name: create_integrations
-- Nothing comes back for an alias that was taken in the meantime.
INSERT INTO integrations (id, org_id, alias, display_name, source, base_url, catalog_prefix, catalog_path)
SELECT made.id, $1, made.alias, made.display_name, 'openapi', '', $2, made.path
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[]) AS made (id, alias, display_name, path)
ON CONFLICT (org_id, alias) DO NOTHING
RETURNING id, org_id, alias, display_name, source, base_url, version, catalog_path

-- name: documents_read
-- Integrations learn which document they are made of; a new version where tools changed ($4), its server where they
-- have none.
UPDATE integrations i
SET spec_sha256 = read.sha256, extraction = $2, version = i.version + read.changed,
    base_url = CASE WHEN i.base_url = '' THEN read.server ELSE i.base_url END, updated_at = now()
FROM unnest($3::uuid[], $4::text[], $5::integer[], $6::text[]) AS read (id, sha256, changed, server)
WHERE i.org_id = $1 AND i.id = read.id

-- name: documents_done
UPDATE bulk_import_documents d
SET status = done.status, body = NULL, integration_id = done.integration_id, alias = coalesce(done.alias, d.alias),
    created = done.created, updated = done.updated, unchanged = done.unchanged, removed = done.removed,
    skipped = done.skipped
FROM unnest($3::text[], $4::text[], $5::uuid[], $6::text[], $7::integer[], $8::integer[], $9::integer[],
            $10::integer[], $11::integer[])
     AS done (path, status, integration_id, alias, created, updated, unchanged, removed, skipped)
WHERE d.org_id = $1 AND d.import_id = $2 AND d.path = done.path

-- name: add_findings
INSERT INTO bulk_import_findings (import_id, path, position, operation, outcome, tool, problems)
SELECT b.id, path, position, operation, outcome, tool, problems
FROM bulk_imports b, jsonb_to_recordset($3::jsonb)
     AS found (path text, position integer, operation text, outcome text, tool text, problems text[])
WHERE b.org_id = $1 AND b.id = $2

-- name: vanished
-- Integrations of the prefix $3 with tools, whose documents are not in the job.
SELECT i.id, i.alias, i.catalog_path, count(t.id) AS tools
FROM integrations i JOIN tools t ON t.integration_id = i.id AND t.current
WHERE i.org_id = $1 AND i.catalog_prefix = $3
  AND NOT EXISTS (
      SELECT 1 FROM bulk_import_documents d
      WHERE d.import_id = $2 AND d.path = i.catalog_path AND d.status <> 'vanished')
GROUP BY i.id, i.alias, i.catalog_path ORDER BY i.catalog_path

-- name: report_vanished
INSERT INTO bulk_import_documents (import_id, org_id, path, alias, sha256, size, status, integration_id, removed)
VALUES ($2, $1, $3, $4, '', 0, 'vanished', $5, $6)
ON CONFLICT (import_id, path) DO NOTHING
RETURNING path

-- name: forget_document
-- So that the same bytes are read again when they come back.
UPDATE integrations SET spec_sha256 = '', version = version + 1, updated_at = now() WHERE org_id = $1 AND id = $2

-- name: tools_of
SELECT id FROM tools WHERE org_id = $1 AND integration_id = $2 AND current

-- name: integrations
-- Of all documents of the job, those that vanished included.
SELECT integration_id FROM bulk_import_documents
WHERE org_id = $1 AND import_id = $2 AND integration_id IS NOT NULL ORDER BY path
