-- Answers to mutations, kept 24 hours ($1 organisation, $2 project or, for organisation-wide routes, the organisation).

-- name: try_lock
-- Whether nobody else is answering this key now; held until the transaction ends.
SELECT pg_try_advisory_xact_lock(hashtextextended($1::text, 7501));

-- name: find
-- The answer given before, unless it has aged out, and for how long it is kept.
SELECT body_sha256, status, answer,
       extract(epoch FROM created_at + interval '24 hours' - now())::float8 AS left_s
FROM idempotency
WHERE org_id = $1 AND project_id = $2 AND route = $3 AND key = $4 AND created_at > now() - interval '24 hours';

-- name: put
-- Keep an answer; an aged-out one under the same key is replaced.
INSERT INTO idempotency (org_id, project_id, route, key, body_sha256, status, answer)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (project_id, route, key) DO UPDATE
SET body_sha256 = EXCLUDED.body_sha256, status = EXCLUDED.status, answer = EXCLUDED.answer, created_at = now()
WHERE idempotency.org_id = EXCLUDED.org_id;
