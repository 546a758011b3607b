Journals in event files: what may go, and which files count instead. As retention.sql, every tenant's.

-- name: ended
-- Up to $2 runs that ended more than $1 ago, but of none of the sessions $3. Ten minutes as in retention.sql.
SELECT r.id, r.session_id, r.org_id, h.shard, coalesce(p.below, 0) AS start, now() - $1::interval AS cutoff
FROM runs r
LEFT JOIN pruned_journals p USING (session_id)
LEFT JOIN LATERAL (SELECT shard FROM event_segments s WHERE s.session_id = r.session_id LIMIT 1) h ON true
WHERE NOT r.is_open AND NOT r.pruned AND r.updated_at < now() - $1::interval - interval '10 minutes'
  AND r.session_id <> ALL ($3::uuid[])
  AND EXISTS (SELECT FROM event_store WHERE mode = 'file')
ORDER BY r.updated_at
LIMIT $2

-- name: open_runs
SELECT id FROM runs WHERE org_id = $1 AND session_id = $2 AND is_open

-- name: announce
-- A file that is about to be written in the place of a part; answers its revision.
INSERT INTO event_leftovers (session_id, epoch, part, shard, revision)
VALUES ($1, $2, $3, $4, nextval('event_revisions'))
RETURNING revision

-- name: hold
-- What an append of the session has to wait for.
SELECT FROM event_heads WHERE org_id = $1 AND session_id = $2 FOR UPDATE

-- name: retire
-- Files that count no longer, if they still are what was read ($5: committed bytes).
DELETE FROM event_segments
USING unnest($1::uuid[], $2::bigint[], $3::integer[], $4::bigint[], $5::bigint[])
      AS old (session_id, epoch, part, revision, bytes)
WHERE (event_segments.session_id, event_segments.epoch, event_segments.part, event_segments.revision,
       event_segments.bytes) = (old.session_id, old.epoch, old.part, old.revision, old.bytes)
RETURNING old.part

-- name: claim
-- Files that come to count now, unless they are being removed: their writer stood still for too long.
DELETE FROM event_leftovers
USING unnest($1::uuid[], $2::bigint[], $3::integer[], $4::bigint[]) AS new (session_id, epoch, part, revision)
WHERE (event_leftovers.session_id, event_leftovers.epoch, event_leftovers.part, event_leftovers.revision)
      = (new.session_id, new.epoch, new.part, new.revision)
  AND NOT doomed
RETURNING new.part

-- name: count_instead
INSERT INTO event_segments
       (session_id, epoch, part, revision, org_id, shard, first_seq, last_seq, snapshot_at, bytes, key_id)
SELECT session_id, epoch, part, revision, $5, $6, first_seq, last_seq, snapshot_at, bytes, key_id
FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
            $10::bigint[], $11::uuid[])
     AS new (session_id, epoch, part, revision, first_seq, last_seq, snapshot_at, bytes, key_id)

-- name: reached
INSERT INTO pruned_journals (session_id, org_id, below) VALUES ($1, $2, $3)
ON CONFLICT (session_id) DO UPDATE SET below = greatest(pruned_journals.below, excluded.below)

-- name: mark
UPDATE runs SET pruned = true WHERE id = ANY ($1::uuid[]) AND NOT is_open

-- name: doom
-- Up to $2 files that have counted for nothing for $1, and those whose removal was broken off.
UPDATE event_leftovers AS gone SET doomed = true
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM event_leftovers l
    WHERE since < now() - $1::interval
      AND NOT EXISTS (SELECT FROM event_segments s
                      WHERE (s.session_id, s.epoch, s.part, s.revision) = (l.session_id, l.epoch, l.part, l.revision))
    ORDER BY since
    LIMIT $2
    FOR UPDATE SKIP LOCKED))
RETURNING session_id, epoch, part, revision, shard,
          EXISTS (SELECT FROM sessions WHERE id = gone.session_id) AS session_lives

-- name: forget
DELETE FROM event_leftovers
USING unnest($1::uuid[], $2::bigint[], $3::integer[], $4::bigint[]) AS gone (session_id, epoch, part, revision)
WHERE (event_leftovers.session_id, event_leftovers.epoch, event_leftovers.part, event_leftovers.revision)
      = (gone.session_id, gone.epoch, gone.part, gone.revision)
