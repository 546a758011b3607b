-- Deletion of an organisation ($1): asked for, undone, and carried out (docs/encryption.md).

-- name: mark
-- From here on it answers nobody, and the evidence says so. $2: days until it goes for good; $3: who asked for it.
SELECT deleted_at, purge_after FROM organization_ends($1, $2, $3);

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

-- name: restore_requests
-- What asked for its erasure is thereby taken back.
UPDATE privacy_requests SET state = 'cancelled', finished_at = now()
WHERE org_id = $1 AND kind = 'erasure' AND target = 'organization' AND state = 'queued';

-- name: find
-- The newest deletion of the organisation, also after it is gone.
SELECT org_id, requested_at, requested_by, purge_after, restored_at, keys_destroyed, purge_began_at, purged_at, gone,
       audit_until, audit_forgotten_at
FROM organization_deletions WHERE org_id = $1;

-- name: claim
-- An organisation whose time has come, held until the transaction ends; of any tenant. Those that nobody has begun with
-- come first: others may only be waiting. `is_new`: this is one of them.
SELECT o.id, d.purge_began_at IS NULL AS is_new
FROM organizations o LEFT JOIN organization_deletions d ON d.org_id = o.id
WHERE o.purge_after <= now()
ORDER BY d.purge_began_at NULLS FIRST, o.purge_after LIMIT 1 FOR UPDATE OF o SKIP LOCKED;

-- name: begin_purge
-- $2 keys are destroyed: from here on there is no way back. The audit log stays for as long as the settings say, which go.
UPDATE organization_deletions
SET purge_began_at = coalesce(purge_began_at, now()), keys_destroyed = coalesce(keys_destroyed, 0) + $2,
    audit_until = coalesce(audit_until, now() + make_interval(days => coalesce(
        (SELECT (settings -> 'retention' ->> 'audit_days')::integer FROM organizations WHERE id = $1), $3)))
WHERE org_id = $1;

-- name: fence
-- No event of its sessions is accepted any more, whatever a host still has in memory.
INSERT INTO erased_sessions (session_id, org_id, request_id, shard)
SELECT id, org_id, org_id, shard FROM sessions WHERE org_id = $1
ON CONFLICT DO NOTHING
RETURNING shard;

-- name: await_appends
-- Waits for the appends that are under way in these shards ($1), which hold them while they last.
SELECT shard FROM shard_owner WHERE shard = ANY ($1::integer[]) ORDER BY shard FOR NO KEY UPDATE;

-- name: has_begun
SELECT purge_began_at IS NOT NULL FROM organization_deletions WHERE org_id = $1;

-- name: next_sessions
-- Those that `purge_sessions` deletes next.
SELECT id, shard FROM sessions WHERE org_id = $1 ORDER BY id LIMIT $2;

-- name: purge_sessions
-- Up to $2 sessions, and what hangs on them.
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
-- The rest refers to this row and goes with it. Not before the deletion is $2 old: until then a process may still hold a
-- key, and what it would write is refused for as long as the row of the destroyed key is there.
DELETE FROM organizations o WHERE o.id = $1 AND o.purge_after <= now()
  AND NOT EXISTS (SELECT FROM organization_deletions d WHERE d.org_id = $1 AND d.requested_at > now() - $2::interval)
RETURNING o.id;

-- name: count_gone
-- Add to the figures of what is gone.
UPDATE organization_deletions SET gone = $2 WHERE org_id = $1;

-- name: finish
UPDATE organization_deletions SET purged_at = now() WHERE org_id = $1;

-- name: forget_log
-- The audit log of one that is gone, when its time is over as well.
WITH due AS (
    SELECT org_id FROM organization_deletions
    WHERE purged_at IS NOT NULL AND audit_until <= now() AND audit_forgotten_at IS NULL
    ORDER BY audit_until LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE organization_deletions d
SET audit_forgotten_at = now(), gone = d.gone || jsonb_build_object('audit_log', audit_log_forget(d.org_id))
FROM due WHERE d.org_id = due.org_id
RETURNING d.org_id;
