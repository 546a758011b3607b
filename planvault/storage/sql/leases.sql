Which host owns which shard. Heartbeats live in `hosts`, in database time; `shard_owner` changes only on takeover.

-- name: create_shards
-- The shards of this database, made once.
INSERT INTO shard_owner (shard)
SELECT generate_series(0, $1::integer - 1)
WHERE NOT EXISTS (SELECT FROM shard_owner)
ON CONFLICT DO NOTHING

-- name: count_shards
SELECT count(*) FROM shard_owner

-- name: beat
-- I am alive. Comes back true where all hosts of my cluster are told to give their shards back.
WITH ordered AS (
    SELECT EXISTS (SELECT FROM cluster_drains WHERE cluster_id = $4 AND until > clock_timestamp()) AS drain
)
INSERT INTO hosts (id, build_id, heartbeat_at, draining, cluster_id)
SELECT $1, $2, clock_timestamp(), $3 OR drain, $4 FROM ordered
ON CONFLICT (id) DO UPDATE SET heartbeat_at = clock_timestamp(), draining = excluded.draining
RETURNING (SELECT drain FROM ordered)

-- name: live
-- Hosts that may own shards: heard of within the lease, not draining.
SELECT id FROM hosts
WHERE heartbeat_at > clock_timestamp() - make_interval(secs => $1::float8) AND NOT draining
ORDER BY id

-- name: acquire
-- Take shards that nobody owns, or whose owner's lease has run out. The new epoch fences the old owner.
UPDATE shard_owner o
SET epoch = o.epoch + 1, owner = $2
WHERE o.shard = ANY($1::integer[])
  AND (o.owner IS NULL OR NOT EXISTS (
        SELECT FROM hosts h
        WHERE h.id = o.owner AND h.heartbeat_at > clock_timestamp() - make_interval(secs => $3::float8)))
RETURNING o.shard, o.epoch

-- name: owned
SELECT shard, epoch FROM shard_owner WHERE owner = $1

-- name: release
-- Give shards back, each only if it is still mine.
UPDATE shard_owner SET owner = NULL
WHERE owner = $3 AND (shard, epoch) IN (SELECT * FROM unnest($1::integer[], $2::bigint[]))

-- name: forget
-- A host that has left, and hosts that fell silent long ago.
DELETE FROM hosts WHERE id = $1 OR heartbeat_at < clock_timestamp() - interval '1 hour'

-- name: order_drain
-- All hosts of this cluster shall give their shards back, for so many seconds from now.
INSERT INTO cluster_drains (cluster_id, until) VALUES ($1, clock_timestamp() + make_interval(secs => $2::float8))
ON CONFLICT (cluster_id) DO UPDATE SET until = excluded.until

-- name: still_owned
-- Shards of this cluster's hosts that were heard of within $2 seconds. Those of dead ones move by themselves.
SELECT count(*) FROM shard_owner o
JOIN hosts h ON h.id = o.owner
WHERE h.cluster_id = $1 AND h.heartbeat_at > clock_timestamp() - make_interval(secs => $2::float8)
