-- Buckets of rate limits: of organisations, keys and addresses alike, named by digests (migrations/0020_rate_limits.sql).

-- name: take
-- Take $2 seconds from each of the buckets $1, no debt beyond $3 seconds, and say how far each is from full.
SELECT subject, ahead FROM take_from_buckets($1::bytea[], $2::double precision[], $3);
