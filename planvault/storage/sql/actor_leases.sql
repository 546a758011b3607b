-- Duties of which there may be one. Time is the database's.

-- name: hold
-- Take the duty, or keep it: nothing comes back where another holder's time still runs and my rank ($3) is not higher.
INSERT INTO actor_leases (name, holder, rank, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4::float8))
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, rank = excluded.rank, expires_at = excluded.expires_at,
    epoch = actor_leases.epoch + (actor_leases.holder <> excluded.holder)::integer
WHERE actor_leases.holder = excluded.holder
   OR actor_leases.rank < excluded.rank
   OR actor_leases.expires_at < clock_timestamp()
RETURNING epoch;

-- name: outranked
-- Whether the duty is a later deployment's than mine ($2).
SELECT rank > $2 FROM actor_leases WHERE name = $1;

-- name: give_up
-- Let the next one take it at once.
UPDATE actor_leases SET expires_at = '-infinity' WHERE name = $1 AND holder = $2;
