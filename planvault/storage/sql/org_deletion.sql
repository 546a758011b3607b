-- Deletion of an organisation ($1): asked for, undone, and carried out (docs/encryption.md).

-- name: mark
-- From here on it answers nobody. $2: days until it goes for good.
UPDATE organizations SET deleted_at = now(), purge_after = now() + $2 * interval '1 day'
WHERE id = $1 AND deleted_at IS NULL
RETURNING deleted_at, purge_after;

-- name: note
-- The evidence; a second deletion after a restoration begins it anew. $4: who asked for it.
INSERT INTO organization_deletions (org_id, requested_at, purge_after, requested_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (org_id) DO UPDATE
SET requested_at = excluded.requested_at, purge_after = excluded.purge_after, requested_by = excluded.requested_by,
    restored_at = NULL;

-- name: sessions_at_work
-- Sessions with runs that have not ended.
SELECT DISTINCT project_id, session_id FROM runs WHERE org_id = $1 AND is_open ORDER BY session_id;

-- name: restore
-- Before it is time, and before the purge has begun.
UPDATE organizations o SET deleted_at = NULL, purge_after = NULL
WHERE o.id = $1 AND o.deleted_at IS NOT NULL AND o.purge_after > now()
  AND NOT EXISTS (SELECT FROM organization_deletions d WHERE d.org_id = $1 AND d.purge_began_at IS NOT NULL)
RETURNING id;

-- name: note_restored
UPDATE organization_deletions SET restored_at = now() WHERE org_id = $1;

-- name: find
-- The newest deletion of the organisation, also after it is gone.
SELECT org_id, requested_at, requested_by, purge_after, restored_at, keys_destroyed, purge_began_at, purged_at, gone
FROM organization_deletions WHERE org_id = $1;

-- name: claim
-- An organisation whose time has come, held until the transaction ends; of any tenant.
SELECT id FROM organizations WHERE purge_after <= now() ORDER BY purge_after LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: begin_purge
-- $2 keys are destroyed: from here on there is no way back.
UPDATE organization_deletions
SET purge_began_at = coalesce(purge_began_at, now()), keys_destroyed = coalesce(keys_destroyed, 0) + $2
WHERE org_id = $1;

-- name: has_begun
SELECT purge_began_at IS NOT NULL FROM organization_deletions WHERE org_id = $1;

-- name: purge_sessions
-- Up to $2 sessions, and what hangs on them. Their event files become leftovers, which retention removes.
WITH chosen AS MATERIALIZED (SELECT id FROM sessions WHERE org_id = $1 ORDER BY id LIMIT $2),
events_gone AS (DELETE FROM events WHERE session_id IN (SELECT id FROM chosen) RETURNING 1),
sessions_gone AS (DELETE FROM sessions WHERE id IN (SELECT id FROM chosen) RETURNING 1)
SELECT (SELECT count(*) FROM events_gone) AS events, (SELECT count(*) FROM sessions_gone) AS sessions;

-- name: purge_integrations
-- Up to $2 imported sources with their tools and vectors.
WITH gone AS (
    DELETE FROM integrations WHERE id IN (SELECT id FROM integrations WHERE org_id = $1 ORDER BY id LIMIT $2)
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: purge_events
-- Events whose session went some other way.
WITH gone AS (DELETE FROM events WHERE org_id = $1 RETURNING 1) SELECT count(*) FROM gone;

-- name: purge_answers
WITH gone AS (DELETE FROM idempotency WHERE org_id = $1 RETURNING 1) SELECT count(*) FROM gone;

-- name: purge_organization
-- The rest refers to this row and goes with it.
DELETE FROM organizations WHERE id = $1 AND purge_after <= now();

-- name: count_gone
-- Add to the figures of what is gone.
UPDATE organization_deletions SET gone = $2 WHERE org_id = $1;

-- name: finish
UPDATE organization_deletions SET purged_at = now() WHERE org_id = $1;
