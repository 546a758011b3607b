-- Organisations of the whole installation: the platform's queries, for its operators.

-- name: page
-- After $1 (NULL: from the beginning), by id, which is by age; the deleted ones that can be restored included.
SELECT o.id, o.name, o.created_at, o.deleted_at, o.purge_after,
       (SELECT count(*) FROM members AS m WHERE m.org_id = o.id AND m.role = 'OWNER') AS owners,
       (SELECT count(*) FROM members AS m WHERE m.org_id = o.id) AS members,
       (SELECT count(*) FROM projects AS p WHERE p.org_id = o.id) AS projects
FROM organizations AS o
WHERE $1::uuid IS NULL OR o.id > $1
ORDER BY o.id
LIMIT $2;

-- name: one
-- One of them ($1).
SELECT o.id, o.name, o.created_at, o.deleted_at, o.purge_after,
       (SELECT count(*) FROM members AS m WHERE m.org_id = o.id AND m.role = 'OWNER') AS owners,
       (SELECT count(*) FROM members AS m WHERE m.org_id = o.id) AS members,
       (SELECT count(*) FROM projects AS p WHERE p.org_id = o.id) AS projects
FROM organizations AS o
WHERE o.id = $1;
