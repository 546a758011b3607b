-- Organisations ($1) and their projects ($1 organisation, $2 project).

-- name: insert_organization
-- A new tenant.
INSERT INTO organizations (id, name, settings) VALUES ($1, $2, $3)
RETURNING id, name, settings, created_at;

-- name: organization
-- One organisation.
SELECT id, name, settings, created_at FROM organizations WHERE id = $1 AND deleted_at IS NULL;

-- name: lock_organization
-- The same, held for a change of its settings.
SELECT id, name, settings, created_at FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR UPDATE;

-- name: store_organization_settings
-- Settings as a whole; the caller holds the row.
UPDATE organizations SET settings = $2 WHERE id = $1;

-- name: insert_project
-- A new project; the name is unique in the organisation.
INSERT INTO projects (org_id, id, name, settings) VALUES ($1, $2, $3, $4)
RETURNING org_id, id, name, settings, created_at;

-- name: project
-- One project.
SELECT org_id, id, name, settings, created_at FROM projects WHERE org_id = $1 AND id = $2;

-- name: lock_project
-- The same, held for a change of its settings.
SELECT org_id, id, name, settings, created_at FROM projects WHERE org_id = $1 AND id = $2 FOR UPDATE;

-- name: store_project_settings
-- Settings as a whole; the caller holds the row.
UPDATE projects SET settings = $3 WHERE org_id = $1 AND id = $2;

-- name: projects
-- The organisation's projects, oldest first.
SELECT org_id, id, name, settings, created_at FROM projects WHERE org_id = $1 AND deleted_at IS NULL ORDER BY id;
