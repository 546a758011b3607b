Sealed columns, walked page by page (planvault/storage/sealed.py), in the scope of one organisation ($1).

A page: $2 ids of the data keys that are looked for (NULL: all), $3 where it begins (JSON array of the key columns of the
last row, [] at first), $4 how many rows are looked at. `sealed` is NULL in rows of other keys. Through `sessions` where
a table has no index by organisation: one that shares it with large ones does not read theirs.

A swap: arrays of the key columns, then the first 33 bytes that were read (their nonce makes them unlike any others),
then what comes in their place. A row that somebody wrote meanwhile stays as it is.

-- name: data_keys_page
SELECT t.id, NULL::uuid AS session_id, NULL::bytea AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM data_keys t
WHERE t.org_id = $1 AND t.purpose = 'user' AND t.status <> 'destroyed'
  AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: data_keys_swap
UPDATE data_keys t SET {column} = n.sealed, wrapped_by = sealed_with(n.sealed)::text
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: sessions_page
SELECT t.id, t.id AS session_id, t.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM sessions t
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: sessions_swap
UPDATE sessions t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: events_page
SELECT t.session_id, t.seq, s.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM sessions s
CROSS JOIN LATERAL (
    SELECT e.session_id, e.seq, e.{column} FROM events e
    WHERE e.session_id = s.id AND e.org_id = $1
      AND e.seq > CASE WHEN s.id = ($3::jsonb ->> 0)::uuid THEN ($3::jsonb ->> 1)::bigint ELSE -1 END
    ORDER BY e.seq LIMIT $4) AS t
WHERE s.org_id = $1 AND s.id >= coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY s.id, t.seq LIMIT $4

-- name: events_swap
UPDATE events t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bigint[], $4::bytea[], $5::bytea[]) AS n(session_id, seq, was, sealed)
WHERE t.org_id = $1 AND t.session_id = n.session_id AND t.seq = n.seq AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: commands_page
SELECT t.id, t.session_id, s.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM commands t JOIN sessions s ON s.id = t.session_id
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: commands_swap
UPDATE commands t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: runs_page
SELECT t.id, t.session_id, s.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM runs t JOIN sessions s ON s.id = t.session_id
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: runs_swap
UPDATE runs t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: blobs_page
SELECT t.id, t.session_id, s.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM blobs t JOIN sessions s ON s.id = t.session_id
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: blobs_swap
UPDATE blobs t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: blob_chunks_page
-- 256 KiB each: a page has one for every 32 rows that others have.
SELECT t.blob_id, t.position, b.chunks, b.session_id, s.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM blobs b
JOIN sessions s ON s.id = b.session_id
CROSS JOIN LATERAL (
    SELECT c.blob_id, c.position, c.{column} FROM blob_chunks c
    WHERE c.blob_id = b.id
      AND c.position > CASE WHEN b.id = ($3::jsonb ->> 0)::uuid THEN ($3::jsonb ->> 1)::integer ELSE -1 END
    ORDER BY c.position LIMIT greatest(1, $4::bigint / 32)) AS t
WHERE b.org_id = $1 AND b.id >= coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY b.id, t.position LIMIT greatest(1, $4::bigint / 32)

-- name: blob_chunks_swap
UPDATE blob_chunks t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::integer[], $4::bytea[], $5::bytea[]) AS n(blob_id, position, was, sealed)
JOIN blobs b ON b.id = n.blob_id AND b.org_id = $1
WHERE t.blob_id = n.blob_id AND t.position = n.position AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: feedback_page
SELECT t.id, t.session_id, t.run_id, t.voter, s.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM feedback t JOIN sessions s ON s.id = t.session_id
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: feedback_swap
UPDATE feedback t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: signals_page
SELECT t.token_id, t.session_id, s.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM signals t JOIN sessions s ON s.id = t.session_id
WHERE t.org_id = $1 AND t.token_id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.token_id LIMIT $4

-- name: signals_swap
UPDATE signals t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(token_id, was, sealed)
WHERE t.org_id = $1 AND t.token_id = n.token_id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: secrets_page
SELECT t.id, t.session_id, s.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM secrets t LEFT JOIN sessions s ON s.id = t.session_id
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: secrets_swap
UPDATE secrets t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: scheduled_jobs_page
SELECT t.id, NULL::uuid AS session_id, t.external_user_hmac AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM scheduled_jobs t
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: scheduled_jobs_swap
UPDATE scheduled_jobs t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: idempotency_page
SELECT t.project_id, t.route, t.key, NULL::uuid AS session_id, NULL::bytea AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM idempotency t
WHERE t.org_id = $1
  AND (t.project_id, t.route, t.key) > (coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000'),
                                        coalesce($3::jsonb ->> 1, ''), coalesce($3::jsonb ->> 2, ''))
ORDER BY t.project_id, t.route, t.key LIMIT $4

-- name: idempotency_swap
UPDATE idempotency t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::bytea[]) AS n(project_id, route, key, was, sealed)
WHERE t.org_id = $1 AND t.project_id = n.project_id AND t.route = n.route AND t.key = n.key
  AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: project_integrations_page
SELECT t.project_id, t.integration_id, NULL::uuid AS session_id, NULL::bytea AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM project_integrations t
WHERE t.org_id = $1
  AND (t.project_id, t.integration_id) > (coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000'),
                                          coalesce(($3::jsonb ->> 1)::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY t.project_id, t.integration_id LIMIT $4

-- name: project_integrations_swap
UPDATE project_integrations t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::uuid[], $4::bytea[], $5::bytea[]) AS n(project_id, integration_id, was, sealed)
WHERE t.org_id = $1 AND t.project_id = n.project_id AND t.integration_id = n.integration_id
  AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: audit_log_page
SELECT t.id, NULL::uuid AS session_id, NULL::bytea AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM audit_log t
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: audit_log_swap
-- The log only grows: its own door puts the same details under another key, and leaves erased ones erased.
SELECT 1 FROM generate_series(1, audit_log_reseal($1, $2::uuid[], $4::bytea[])) WHERE $3::bytea[] IS NOT NULL

-- name: audit_signing_keys_page
SELECT t.id, NULL::uuid AS session_id, NULL::bytea AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM audit_signing_keys t
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: audit_signing_keys_swap
UPDATE audit_signing_keys t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: scenarios_page
SELECT t.id, NULL::uuid AS session_id, NULL::bytea AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM scenarios t
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: scenarios_swap
UPDATE scenarios t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: privacy_requests_page
SELECT t.id, NULL::uuid AS session_id, NULL::bytea AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM privacy_requests t
WHERE t.org_id = $1 AND t.id > coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $4

-- name: privacy_requests_swap
UPDATE privacy_requests t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n(id, was, sealed)
WHERE t.org_id = $1 AND t.id = n.id AND substr(t.{column}, 1, 33) = n.was
RETURNING 1

-- name: privacy_export_chunks_page
-- 256 KiB each, as those of blobs.
SELECT t.request_id, t.position, r.chunks, NULL::uuid AS session_id, r.sealed_for AS subject,
       CASE WHEN $2::uuid[] IS NULL OR sealed_with(t.{column}) = ANY($2) THEN t.{column} END AS sealed
FROM privacy_requests r
CROSS JOIN LATERAL (
    SELECT c.request_id, c.position, c.{column} FROM privacy_export_chunks c
    WHERE c.request_id = r.id AND c.org_id = $1
      AND c.position > CASE WHEN r.id = ($3::jsonb ->> 0)::uuid THEN ($3::jsonb ->> 1)::integer ELSE -1 END
    ORDER BY c.position LIMIT greatest(1, $4::bigint / 32)) AS t
WHERE r.org_id = $1 AND r.id >= coalesce(($3::jsonb ->> 0)::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY r.id, t.position LIMIT greatest(1, $4::bigint / 32)

-- name: privacy_export_chunks_swap
UPDATE privacy_export_chunks t SET {column} = n.sealed
FROM unnest($2::uuid[], $3::integer[], $4::bytea[], $5::bytea[]) AS n(request_id, position, was, sealed)
WHERE t.org_id = $1 AND t.request_id = n.request_id AND t.position = n.position AND substr(t.{column}, 1, 33) = n.was
RETURNING 1
