The file store's rows: which bytes of which files are committed.

-- name: advance_heads
-- Move sessions on from the seq before $3 to $4. A session that stands elsewhere is left out of the answer: another
-- append of the same events landed, or another owner went on.
INSERT INTO event_heads AS head (session_id, org_id, seq, epoch)
SELECT session_id, org_id, last_seq, epoch
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[])
     AS moved (session_id, org_id, first_seq, last_seq, epoch)
WHERE first_seq = 1 OR EXISTS (SELECT FROM event_heads known WHERE known.session_id = moved.session_id)
ORDER BY session_id
ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq, epoch = excluded.epoch
WHERE head.org_id = excluded.org_id
  AND head.seq = (SELECT first_seq - 1 FROM unnest($1::uuid[], $3::bigint[]) AS asked (session_id, first_seq)
                  WHERE asked.session_id = excluded.session_id)
RETURNING session_id

-- name: extend_segments
-- What of each file counts from now on; $10: whether it is a new one. Left out of the answer are a file that was replaced
-- (its bytes count no longer), and one that another key sealed than $11.
INSERT INTO event_segments AS segment
       (session_id, epoch, part, org_id, shard, first_seq, last_seq, snapshot_at, bytes, key_id)
SELECT session_id, epoch, part, org_id, shard, first_seq, last_seq, snapshot_at, bytes, key_id
FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::uuid[], $5::integer[], $6::bigint[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::boolean[], $11::uuid[])
     AS asked (session_id, epoch, part, org_id, shard, first_seq, last_seq, snapshot_at, bytes, is_new, key_id)
WHERE is_new OR EXISTS (SELECT FROM event_segments known
                        WHERE (known.session_id, known.epoch, known.part) = (asked.session_id, asked.epoch, asked.part))
ON CONFLICT (session_id, epoch, part) DO UPDATE
SET last_seq = excluded.last_seq, snapshot_at = excluded.snapshot_at, bytes = excluded.bytes
WHERE segment.revision = 0 AND segment.key_id = excluded.key_id
RETURNING session_id

-- name: head
SELECT seq, epoch FROM event_heads WHERE org_id = $1 AND session_id = $2

-- name: heads
-- The newest seq of each of these (organisation, session) pairs; sessions without events are left out.
SELECT session_id, seq FROM event_file_heads_of($1, $2)

-- name: segments
-- A session's files, oldest first.
SELECT epoch, part, revision, shard, first_seq, last_seq, snapshot_at, bytes, key_id
FROM event_segments
WHERE org_id = $1 AND session_id = $2
ORDER BY first_seq

-- name: choose
-- Fix the mode of this database, the first time; what it is.
SELECT id, mode, has_events FROM choose_event_store($1, $2)

-- name: identity
SELECT id FROM event_store
