-- Rotation of an organisation's data keys ($1), one open at a time (docs/encryption.md).

-- name: generation
-- The newest generation that there are keys or rotations of; the organisation's row is held until the transaction ends.
SELECT greatest((SELECT max(generation) FROM data_keys WHERE org_id = $1),
                (SELECT max(generation) FROM key_rotations WHERE org_id = $1))
FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR UPDATE;

-- name: open
-- The rotation that is under way.
SELECT id, org_id, generation, state, reason, created_at, entered_at, finished_at, looked_at, reencrypted, passes,
       unreadable, error
FROM key_rotations WHERE org_id = $1 AND state <> 'completed';

-- name: begin
INSERT INTO key_rotations (org_id, id, generation, reason) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING id, org_id, generation, state, reason, created_at, entered_at, finished_at, looked_at, reencrypted, passes,
          unreadable, error;

-- name: newest
-- The rotation that began last.
SELECT id, org_id, generation, state, reason, created_at, entered_at, finished_at, looked_at, reencrypted, passes,
       unreadable, error
FROM key_rotations WHERE org_id = $1 ORDER BY generation DESC LIMIT 1;

-- name: key_counts
-- Data keys by purpose, generation and status.
SELECT purpose, generation, status, count(*) AS keys, min(created_at) AS since
FROM data_keys WHERE org_id = $1 GROUP BY purpose, generation, status ORDER BY purpose, generation DESC, status;

-- name: claim
-- The oldest open rotation of any organisation whose worker has been silent; $1: seconds that the claim holds. Fenced:
-- a later claim raises `attempts`.
UPDATE key_rotations SET attempts = attempts + 1, leased_until = now() + $1 * interval '1 second', error = NULL
WHERE id = (
    SELECT r.id FROM key_rotations r JOIN organizations o ON o.id = r.org_id
    WHERE r.state <> 'completed' AND (r.leased_until IS NULL OR r.leased_until < now()) AND o.deleted_at IS NULL
    ORDER BY r.leased_until NULLS FIRST, r.created_at
    LIMIT 1
    FOR NO KEY UPDATE OF r SKIP LOCKED)
RETURNING id, org_id, generation, state, attempts, position, found_in_pass, unreadable, passes,
          extract(epoch FROM now() - entered_at)::float8 AS in_state_s;

-- name: enter
-- The next state, by the holder of claim $3. Not from another than $4.
UPDATE key_rotations SET state = $5, entered_at = now(), position = '{}', found_in_pass = 0, unreadable = 0
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = $4
RETURNING 1;

-- name: progress
-- Where the walk stands, and the claim for $10 seconds more. Nothing where another worker has taken over.
UPDATE key_rotations
SET position = $4, looked_at = looked_at + $5, reencrypted = reencrypted + $6, found_in_pass = $7,
    unreadable = $8, passes = $9, leased_until = now() + $10 * interval '1 second'
WHERE org_id = $1 AND id = $2 AND attempts = $3
RETURNING 1;

-- name: release
-- Give the claim up for $4 seconds, with what went wrong, if anything.
UPDATE key_rotations SET leased_until = now() + $4 * interval '1 second', error = $5
WHERE org_id = $1 AND id = $2 AND attempts = $3;

-- name: makes_org_key
-- Whether the organisation's own key of generation $2 is still to be made, and the version that it gets.
SELECT 1 + max(version) AS version, bool_or(generation = $2) AS is_made
FROM data_keys WHERE org_id = $1 AND purpose = 'org';

-- name: users_to_renew
-- Up to $3 users whose newest key is of an older generation than $2.
SELECT subject, 1 + max(version) AS version
FROM data_keys WHERE org_id = $1 AND purpose = 'user'
GROUP BY subject
HAVING max(generation) < $2 AND bool_or(status = 'active')
ORDER BY subject LIMIT $3;

-- name: activate
-- Keys of generation $2 seal from now on: every process has read them.
UPDATE data_keys SET status = 'active', activated_at = now()
WHERE org_id = $1 AND generation = $2 AND status = 'pending';

-- name: generations_before
-- Older generations whose keys may still seal; only of owners that have a newer active one.
SELECT DISTINCT k.generation FROM data_keys k
WHERE k.org_id = $1 AND k.generation < $2 AND k.purpose IN ('org', 'user') AND k.status = 'active'
ORDER BY 1;

-- name: close_generation
-- Nobody who seals with generation $2 is between its write and its commit, and who comes later sees what is done here.
SELECT pg_advisory_xact_lock(key_generation_lock($1, $2));

-- name: retire
-- Keys of generation $2 only open from now on. One that has no successor goes on: a user who was new during the rotation.
UPDATE data_keys k SET status = 'retired', retired_at = now()
WHERE k.org_id = $1 AND k.generation = $2 AND k.purpose IN ('org', 'user') AND k.status = 'active'
  AND EXISTS (SELECT FROM data_keys n
              WHERE n.org_id = $1 AND n.purpose = k.purpose AND n.subject IS NOT DISTINCT FROM k.subject
                AND n.generation > k.generation AND n.status = 'active');

-- name: retired
-- Keys that only open.
SELECT id FROM data_keys WHERE org_id = $1 AND status = 'retired' AND purpose IN ('org', 'user') AND generation < $2;

-- name: destroy_retired
-- Nothing is sealed with them any more. A key of event files stays as long as one of them counts: who cannot reach the
-- folder, or met a damaged one, could not write it anew.
UPDATE data_keys k SET status = 'destroyed', wrapped = '', destroyed_at = now()
WHERE k.org_id = $1 AND k.status = 'retired' AND k.purpose IN ('org', 'user') AND k.generation < $2
  AND NOT EXISTS (SELECT FROM event_segments s WHERE s.org_id = $1 AND s.key_id = k.id)
RETURNING id;

-- name: has_pending
SELECT EXISTS (SELECT FROM data_keys WHERE org_id = $1 AND generation = $2 AND status = 'pending');

-- name: finish
-- Over, by the holder of claim $3; $4 values did not open.
UPDATE key_rotations SET state = 'completed', entered_at = now(), finished_at = now(), position = '{}', unreadable = $4
WHERE org_id = $1 AND id = $2 AND attempts = $3 AND state = 'encrypting'
RETURNING 1;

-- name: old_files
-- Up to $4 event files under the keys $2, behind the one that $3 names (JSON: session, epoch, part; [] at first).
SELECT s.session_id, s.epoch, s.part, s.revision, s.shard, s.first_seq, s.last_seq, s.snapshot_at, s.bytes, s.key_id,
       t.external_user_hmac AS subject
FROM event_segments s JOIN sessions t ON t.id = s.session_id
WHERE s.org_id = $1 AND s.key_id = ANY ($2::uuid[])
  AND (s.session_id, s.epoch, s.part) > (coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000'),
                                         coalesce(($3::jsonb ->> 1)::bigint, 0), coalesce(($3::jsonb ->> 2)::integer, 0))
ORDER BY s.session_id, s.epoch, s.part LIMIT $4;

-- name: file_counts
-- Whether the session $2 still has this file.
SELECT EXISTS (SELECT FROM event_segments WHERE org_id = $1 AND (session_id, epoch, part, revision) = ($2, $3, $4, $5));
