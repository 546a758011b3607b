-- The inbox: what was asked of a session, in the scope of one project ($1 organisation, $2 project).

-- name: insert
-- One command row; `seq` is given out here and is the order of arrival.
INSERT INTO commands (org_id, project_id, session_id, shard, id, kind, payload)
SELECT $1, $2, session.id, session.shard, $4, $5, $6
FROM sessions session
WHERE session.org_id = $1 AND session.project_id = $2 AND session.id = $3
RETURNING seq;

-- name: count_waiting
-- Commands of the session that no append has consumed yet.
SELECT count(*)
FROM commands
WHERE org_id = $1 AND project_id = $2 AND session_id = $3 AND consumed_at IS NULL;

-- name: wake
-- A hint to the shard's owner; sent after the commit, since NOTIFY inside serialises commits. It needs no fsync of its own.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('planvault_commands', $1::integer::text);

-- name: kept_out
-- Sessions in this scope ($2, $3 NULL: the whole organisation, project) whose run waits for a credential, or has
-- something on its way (no time to wait for): a call that went out with the old one may be refused in a moment.
SELECT project_id, session_id, shard
FROM runs
WHERE org_id = $1 AND ($2::uuid IS NULL OR project_id = $2) AND ($3::uuid IS NULL OR session_id = $3) AND is_open
  AND (status = 'awaiting_reauth' OR status = 'executing' AND wake_at IS NULL);
