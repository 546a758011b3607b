-- The chain of one organisation's audit log ($1), its signed heads and what retention took away (docs/audit.md).

-- name: head
-- Where the chain ends, and how far it was pruned; no row before the first one.
SELECT seq, hash, pruned_seq, pruned_hash FROM audit_heads WHERE org_id = $1;

-- name: rows
-- In the chain's order, behind place $2 up to place $3: at most $4, and no more than fit into $5 bytes of details, the
-- first one always.
SELECT * FROM (
    SELECT *, sum(octet_length(details)) OVER (ORDER BY seq) - octet_length(details) AS above
    FROM (
        SELECT seq, id, project_id, session_id, run_id, at, action, details_digest, prev_hash, hash, details
        FROM audit_log
        WHERE org_id = $1 AND seq > $2 AND seq <= $3
        ORDER BY seq
        LIMIT $4
    ) AS next
) AS measured
WHERE above < $5
ORDER BY seq;

-- name: erasures
-- What says that details were erased, behind place $2.
SELECT id, seq, details FROM audit_log WHERE org_id = $1 AND action = 'AUDIT_ERASED' AND seq > $2 ORDER BY seq;

-- name: unchained
-- Rows that somebody put there around the trigger that gives them their places.
SELECT id FROM audit_log WHERE org_id = $1 AND seq IS NULL LIMIT 100;

-- name: anchors
-- Signed heads, oldest first, behind place $2.
SELECT seq, hash, at, public_key, signature FROM audit_anchors WHERE org_id = $1 AND seq > $2 ORDER BY seq;

-- name: segments
-- What was pruned, oldest first.
SELECT first_seq, last_seq, prev_hash, last_hash, at, public_key, signature
FROM audit_segments WHERE org_id = $1 ORDER BY last_seq;

-- name: keys
-- Signing keys, oldest first.
SELECT id, version, public_key, seed, at, introduced_by, introduction
FROM audit_signing_keys WHERE org_id = $1 ORDER BY version;

-- name: add_key
-- The first writer of a version wins.
INSERT INTO audit_signing_keys (org_id, id, version, public_key, seed, at, introduced_by, introduction)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (org_id, version) DO NOTHING
RETURNING version;

-- name: add_anchor
-- A head signed twice is the same head.
INSERT INTO audit_anchors (org_id, seq, hash, at, public_key, signature)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING;

-- name: add_segment
-- A statement about what `prune` is about to take away.
INSERT INTO audit_segments (org_id, first_seq, last_seq, prev_hash, last_hash, at, public_key, signature)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: prune
-- Takes the rows of the segment that ends at place $2 away; how many.
SELECT audit_log_prune($1, $2);

-- name: prunable
-- An anchor from before $2: the newest that is not behind place $3, else the next one.
SELECT seq, hash, at, public_key, signature FROM audit_anchors
WHERE org_id = $1 AND at < $2
ORDER BY seq <= $3 DESC, CASE WHEN seq <= $3 THEN -seq ELSE seq END
LIMIT 1;

-- name: oldest_anchor
-- When the oldest anchor that is left was made.
SELECT min(at) FROM audit_anchors WHERE org_id = $1;

-- name: due
-- Organisations whose log is due, behind $1 in the order of ids, up to $4: it has grown by $3 rows since its newest
-- anchor, or by any since one from before $2 (`grown`); or its oldest anchor is a day older, at $5, than its rows are
-- kept ($6: days of who has decided nothing). Of organisations that are still there: of others nobody has the keys.
SELECT org_id, grown
FROM (
    SELECT h.org_id,
           h.seq > coalesce(newest.seq, h.pruned_seq)
           AND (newest.seq IS NULL OR newest.at < $2 OR h.seq - newest.seq >= $3) AS grown,
           EXISTS (
               SELECT FROM audit_anchors a
               WHERE a.org_id = h.org_id
                 AND a.at < $5::timestamptz - interval '1 day'
                     - make_interval(days => coalesce((o.settings -> 'retention' ->> 'audit_days')::integer, $6))
           ) AS old
    FROM audit_heads h
    JOIN organizations o ON o.id = h.org_id
    LEFT JOIN LATERAL (
        SELECT seq, at FROM audit_anchors a WHERE a.org_id = h.org_id ORDER BY seq DESC LIMIT 1
    ) AS newest ON true
    WHERE $1::uuid IS NULL OR h.org_id > $1
) AS looked_at
WHERE grown OR old
ORDER BY org_id
LIMIT $4;
