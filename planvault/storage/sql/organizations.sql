-- Organisations of the whole installation: the platform's queries, for its operators.

-- name: page
-- After $1 (NULL: from the beginning), by id, which is by age; the deleted ones that can be restored included.
WITH found AS (
    SELECT id, name, created_at, deleted_at, purge_after, keys_per_project FROM organizations
    WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2)
SELECT found.*, sizes.owners, sizes.members, sizes.projects
FROM found
JOIN organization_sizes((SELECT array_agg(id) FROM found)) AS sizes ON sizes.org_id = found.id
ORDER BY found.id;

-- name: one
-- One of them ($1).
SELECT o.id, o.name, o.created_at, o.deleted_at, o.purge_after, o.keys_per_project, sizes.owners, sizes.members, sizes.projects
FROM organizations AS o, organization_sizes(ARRAY[o.id]) AS sizes
WHERE o.id = $1;

-- name: set_quota
-- How many scoped keys a project of the organisation may have. What it has beyond that stays.
UPDATE organizations SET keys_per_project = $2 WHERE id = $1 RETURNING id;

-- name: take_back
-- One that was made a moment ago, before anything was written down of it. Its keys, if it has any, go with it.
DELETE FROM organizations AS o
WHERE o.id = $1 AND NOT EXISTS (SELECT FROM audit_log AS a WHERE a.org_id = $1);
