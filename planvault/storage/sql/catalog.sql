Integrations and what each project has decided about them. $1 is always the organisation.

-- name: insert_integration
-- Nothing comes back where the alias is taken.
INSERT INTO integrations (id, org_id, alias, display_name, source, base_url)
VALUES ($2, $1, $3, $4, $5, $6)
ON CONFLICT (org_id, alias) DO NOTHING
RETURNING id, org_id, alias, display_name, source, base_url, version

-- name: get_integration
SELECT id, org_id, alias, display_name, source, base_url, version
FROM integrations WHERE org_id = $1 AND id = $2

-- name: find_integration
SELECT id, org_id, alias, display_name, source, base_url, version
FROM integrations WHERE org_id = $1 AND alias = $2

-- name: list_integrations
-- By alias, after $2; the one of that alias where $4 is given.
SELECT id, org_id, alias, display_name, source, base_url, version
FROM integrations WHERE org_id = $1 AND alias > $2 AND ($4::text IS NULL OR alias = $4) ORDER BY alias LIMIT $3

-- name: update_integration
-- NULL keeps what is there.
UPDATE integrations
SET display_name = coalesce($3, display_name), base_url = coalesce($4, base_url), updated_at = now()
WHERE org_id = $1 AND id = $2
RETURNING id, org_id, alias, display_name, source, base_url, version

-- name: record_document
-- A document was imported: its hash, a new version where tools changed, and its server where none was given.
UPDATE integrations
SET spec_sha256 = $3, version = version + $4,
    base_url = CASE WHEN base_url = '' THEN $5 ELSE base_url END, updated_at = now()
WHERE org_id = $1 AND id = $2

-- name: hold_integration
-- As its deletion does, whoever writes to what goes with an integration takes it first.
SELECT id FROM integrations WHERE org_id = $1 AND id = $2 FOR KEY SHARE

-- name: delete_integration
-- Its tools, imports and project settings go with it.
DELETE FROM integrations WHERE org_id = $1 AND id = $2 RETURNING id

-- name: project_integrations
-- Every integration of the organisation, with the project's decisions where it has made any.
SELECT i.id, i.org_id, i.alias, i.display_name, i.source, i.base_url, i.version,
       coalesce(p.enabled, true) AS enabled, p.approval_policy, p.auth_headers,
       (SELECT count(*) FROM tools t WHERE t.integration_id = i.id AND t.current) AS tool_count
FROM integrations i
LEFT JOIN project_integrations p ON p.integration_id = i.id AND p.org_id = i.org_id AND p.project_id = $2
WHERE i.org_id = $1
ORDER BY i.alias

-- name: integration_state
SELECT coalesce(p.enabled, true) AS enabled, p.approval_policy, p.auth_headers
FROM integrations i
LEFT JOIN project_integrations p ON p.integration_id = i.id AND p.org_id = i.org_id AND p.project_id = $2
WHERE i.org_id = $1 AND i.id = $3

-- name: set_integration_state
-- Only where project and integration both belong to the organisation.
INSERT INTO project_integrations (org_id, project_id, integration_id, enabled, approval_policy, auth_headers)
SELECT $1, p.id, i.id, $4, $5, $6
FROM projects p, integrations i
WHERE p.org_id = $1 AND p.id = $2 AND i.org_id = $1 AND i.id = $3
ON CONFLICT (project_id, integration_id) DO UPDATE
SET enabled = excluded.enabled, approval_policy = excluded.approval_policy,
    auth_headers = excluded.auth_headers, updated_at = now()
RETURNING integration_id

-- name: call_target
-- What a call needs to know beside the tool itself.
SELECT i.base_url, coalesce(p.enabled, true) AS enabled, p.approval_policy, p.auth_headers, o.settings
FROM integrations i
JOIN organizations o ON o.id = i.org_id
LEFT JOIN project_integrations p ON p.integration_id = i.id AND p.org_id = i.org_id AND p.project_id = $2
WHERE i.org_id = $1 AND i.id = $3
