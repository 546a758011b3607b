The durable record: one append statement, and what an owner reads back.

-- name: append
-- Write a batch under its shards' epochs. One autocommit statement: locking shard_owner FOR SHARE makes a takeover wait
-- for this append or this append see the takeover; an unlocked EXISTS let a zombie commit afterwards.
WITH mine AS MATERIALIZED (
    SELECT o.shard
    FROM shard_owner o
    JOIN unnest($1::integer[], $2::bigint[]) AS claim(shard, epoch) USING (shard, epoch)
    WHERE o.owner = $3
    ORDER BY o.shard
    FOR SHARE OF o
),
written AS (
    INSERT INTO events (session_id, seq, org_id, shard, epoch, type, visibility, schema_version, run_id, at, payload)
    SELECT e.session_id, e.seq, e.org_id, e.shard, e.epoch, e.type, e.visibility, e.schema_version, e.run_id, e.at,
           e.payload
    FROM unnest($4::uuid[], $5::bigint[], $6::uuid[], $7::integer[], $8::bigint[], $9::text[], $10::text[],
                $11::smallint[], $12::uuid[], $13::timestamptz[], $14::bytea[])
         AS e(session_id, seq, org_id, shard, epoch, type, visibility, schema_version, run_id, at, payload)
    JOIN mine USING (shard)
),
applied AS (
    UPDATE commands SET consumed_at = now()
    WHERE id = ANY($15::uuid[]) AND shard IN (SELECT shard FROM mine)
),
summarised AS (
    INSERT INTO runs (id, org_id, project_id, session_id, shard, status, is_open, plan_hash, detail, wake_at,
                      message_id)
    SELECT r.id, r.org_id, r.project_id, r.session_id, r.shard, r.status, r.is_open, r.plan_hash, r.detail, r.wake_at,
           r.message_id
    FROM unnest($16::uuid[], $17::uuid[], $18::uuid[], $19::uuid[], $20::integer[], $21::text[], $22::boolean[],
                $23::text[], $24::bytea[], $25::timestamptz[], $26::uuid[])
         AS r(id, org_id, project_id, session_id, shard, status, is_open, plan_hash, detail, wake_at, message_id)
    JOIN mine USING (shard)
    ON CONFLICT (id) DO UPDATE
    SET status = excluded.status, is_open = excluded.is_open, plan_hash = excluded.plan_hash,
        detail = excluded.detail, wake_at = excluded.wake_at, updated_at = now()
),
rewoken AS (  -- runs that are not among those above: a row can be written once in a statement
    UPDATE runs SET wake_at = w.wake_at
    FROM unnest($27::uuid[], $28::timestamptz[]) AS w(id, wake_at)
    WHERE runs.id = w.id AND runs.shard IN (SELECT shard FROM mine)
),
referenced AS (  -- blobs that the events above name: no longer orphans
    UPDATE blobs SET kept = true
    FROM unnest($29::uuid[], $30::integer[]) AS b(id, shard) JOIN mine USING (shard)
    WHERE blobs.id = b.id
),
audited AS (  -- decisions that somebody may have to account for: there if and only if their events are
    INSERT INTO audit_log (id, org_id, project_id, session_id, run_id, at, action, details, details_digest)
    SELECT a.id, a.org_id, a.project_id, a.session_id, a.run_id, a.at, a.action, a.details, a.digest
    FROM unnest($31::uuid[], $32::uuid[], $33::uuid[], $34::uuid[], $35::uuid[], $36::integer[], $37::timestamptz[],
                $38::text[], $39::bytea[], $40::bytea[]) WITH ORDINALITY
         AS a(id, org_id, project_id, session_id, run_id, shard, at, action, details, digest, place)
    JOIN mine USING (shard)
    ORDER BY a.place  -- in the chain they stand as they were decided
)
SELECT shard FROM mine

-- name: load
-- A session's events from its newest snapshot on.
SELECT seq, type, visibility, schema_version, run_id, at, payload
FROM events
WHERE org_id = $1 AND session_id = $2
  AND seq >= coalesce((SELECT max(seq) FROM events WHERE session_id = $2 AND type = 'snapshot'), 0)
ORDER BY seq

-- name: head
-- The newest event of a session: its seq, and under which epoch it was written.
SELECT seq, epoch FROM events WHERE org_id = $1 AND session_id = $2 ORDER BY seq DESC LIMIT 1
