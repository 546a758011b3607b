What waits for a host, and how viewers are told.

-- name: waiting_commands
-- Commands of my shards that no append has consumed, in order of arrival; $3: those in memory, $4: sessions to leave.
SELECT id, seq, org_id, project_id, session_id, kind, payload
FROM commands
WHERE consumed_at IS NULL AND shard = ANY($1::integer[]) AND NOT (id = ANY($3::uuid[]))
  AND NOT (session_id = ANY($4::uuid[]))
ORDER BY seq
LIMIT $2

-- name: open_runs
-- Sessions of my shards with a run that goes on now. One that waits for somebody is loaded when the answer comes, one
-- that waits for a time ($2: now) when it is due.
SELECT org_id, project_id, session_id
FROM runs
WHERE is_open AND shard = ANY($1::integer[])
  AND (wake_at <= $2 OR wake_at IS NULL AND status IN ('planning', 'executing'))

-- name: due_runs
-- Sessions of my shards whose run waits for a time that is not after $2, the earliest first; $4: sessions to leave.
SELECT org_id, project_id, session_id
FROM runs
WHERE is_open AND wake_at <= $2 AND shard = ANY($1::integer[]) AND NOT (session_id = ANY($4::uuid[]))
ORDER BY wake_at
LIMIT $3

-- name: announce
-- Tell the viewers which shards have new history. A hint needs no fsync of its own.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('planvault_history', $1)
