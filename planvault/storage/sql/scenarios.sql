Scenarios as people manage them, and as selection looks for them. $1 is always the organisation.

-- name: near
-- Enabled scenarios of the project ($2) or the whole organisation with a sample of the model $3 at $5 or more (cosine) to
-- one of the vectors $4, nearest first, at most $6. $7, $8: whether manual and automatic ones count; $9: how many
-- people must stand behind an automatic one. `callable`: those of its tools that the project may call now.
WITH found AS (
    SELECT s.scenario_id, max(-(s.embedding <#> q.vector)) AS similarity
    FROM scenario_samples s
    CROSS JOIN unnest($4::vector[]) AS q (vector)
    WHERE s.org_id = $1 AND s.embedding_model = $3 AND (s.project_id IS NULL OR s.project_id = $2)
      AND (s.embedding <#> q.vector) <= -$5::float8
      AND CASE WHEN s.automatic THEN $8::boolean ELSE $7::boolean END
    GROUP BY s.scenario_id
)
SELECT c.id, c.name, c.priority, c.instruction, c.successes, c.failures, c.counted_at, found.similarity,
       ARRAY(SELECT t.id FROM tools t
             LEFT JOIN project_integrations p
                    ON p.integration_id = t.integration_id AND p.org_id = $1 AND p.project_id = $2
             WHERE t.org_id = $1 AND t.id = ANY(c.tool_ids) AND t.current AND coalesce(p.enabled, true)
             ORDER BY t.id) AS callable
FROM found
JOIN scenarios c ON c.id = found.scenario_id AND c.org_id = $1
WHERE c.enabled
  AND (c.kind = 'manual' OR $9::integer <= 1
       OR (SELECT count(*) FROM scenario_users u WHERE u.scenario_id = c.id AND u.org_id = $1) >= $9::integer)
ORDER BY found.similarity DESC, c.id
LIMIT $6;

-- name: usage
-- What the project uses most, at most $3 tools: what is left of each count at $4, after half-lives of $5. Beyond 1,000
-- of them nothing is, in numbers that Postgres would refuse to write down.
SELECT tool_id,
       uses * power(0.5::float8, least(greatest(extract(epoch FROM $4::timestamptz - counted_at), 0)
                                       / extract(epoch FROM $5::interval), 1000)::float8) AS uses
FROM tool_usage
WHERE org_id = $1 AND project_id = $2
ORDER BY tool_usage.uses DESC, tool_id
LIMIT $3;

-- name: resolve_tools
-- Current tools by name; their integrations cannot be deleted before the transaction ends.
SELECT t.id, t.name FROM tools t
JOIN integrations i ON i.id = t.integration_id AND i.org_id = t.org_id
WHERE t.org_id = $1 AND t.current AND t.name = ANY($2::text[])
FOR KEY SHARE OF i;

-- name: tools_named
-- Name of each of these tools at its newest version, and whether it is offered.
SELECT DISTINCT ON (id) id, name, current FROM tools
WHERE org_id = $1 AND id = ANY($2::uuid[])
ORDER BY id, version DESC;

-- name: lock
-- Whoever changes the organisation's scenarios waits for the one before. Held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('planvault.scenarios:' || $1::uuid::text, 0));

-- name: count_manual
SELECT count(*) FROM scenarios WHERE org_id = $1 AND kind = 'manual';

-- name: insert_manual
-- Nothing comes back where the project is not the organisation's.
INSERT INTO scenarios (id, org_id, project_id, kind, priority, name, enabled, tool_ids, samples, instruction, created_by,
                       counted_at)
SELECT $2, $1, $3, 'manual', $4, $5, $6, $7, $8, $9, $10, $11
WHERE $3::uuid IS NULL OR EXISTS (SELECT FROM projects WHERE org_id = $1 AND id = $3)
RETURNING id;

-- name: update_manual
-- What people say of it; what runs taught stays.
UPDATE scenarios
SET project_id = $3, priority = $4, name = $5, enabled = $6, tool_ids = $7, samples = $8, instruction = $9,
    updated_at = now()
WHERE org_id = $1 AND id = $2 AND kind = 'manual'
  AND ($3::uuid IS NULL OR EXISTS (SELECT FROM projects WHERE org_id = $1 AND id = $3))
RETURNING id;

-- name: delete_samples
DELETE FROM scenario_samples WHERE org_id = $1 AND scenario_id = $2;

-- name: insert_sample
INSERT INTO scenario_samples (id, org_id, project_id, scenario_id, automatic, embedding, embedding_model, run_id,
                              session_id, subject)
VALUES ($2, $1, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: page
-- Manual scenarios, newest first, before $2 (NULL: from the newest); $3: of this project only, $4: exactly this one.
SELECT id, project_id, priority, name, enabled, tool_ids, samples, instruction, created_by, successes, failures,
       counted_at, created_at, updated_at
FROM scenarios
WHERE org_id = $1 AND kind = 'manual' AND ($2::uuid IS NULL OR id < $2)
  AND ($3::uuid IS NULL OR project_id = $3) AND ($4::uuid IS NULL OR id = $4)
ORDER BY id DESC
LIMIT $5;

-- name: delete
-- One of its kind ($3).
DELETE FROM scenarios WHERE org_id = $1 AND id = $2 AND kind = $3 RETURNING id;

-- name: entries
-- The routing cache, newest first, before $2 (NULL: from the newest); $3: exactly this one; $4: supported so often at
-- least, by the counts as they were last taken.
SELECT c.id, c.tool_ids, c.enabled, c.successes, c.failures, c.counted_at, c.created_at, c.updated_at,
       (SELECT count(*) FROM scenario_users u WHERE u.scenario_id = c.id AND u.org_id = $1) AS users
FROM scenarios c
WHERE c.org_id = $1 AND c.kind = 'automatic' AND ($2::uuid IS NULL OR c.id < $2) AND ($3::uuid IS NULL OR c.id = $3)
  AND c.successes >= $4::float8
ORDER BY c.id DESC
LIMIT $5;

-- name: count_entries
SELECT count(*) FROM scenarios WHERE org_id = $1 AND kind = 'automatic';

-- name: clear_entries
WITH gone AS (DELETE FROM scenarios WHERE org_id = $1 AND kind = 'automatic' RETURNING 1)
SELECT count(*) FROM gone;

-- name: hold_integration
-- Nobody names its tools in a scenario until the transaction ends.
SELECT id FROM integrations WHERE org_id = $1 AND id = $2 FOR UPDATE;

-- name: of_integration
-- Manual scenarios that name a tool which the integration has or had.
SELECT c.id, c.name FROM scenarios c
WHERE c.org_id = $1 AND c.kind = 'manual'
  AND c.tool_ids && ARRAY(SELECT DISTINCT t.id FROM tools t WHERE t.org_id = $1 AND t.integration_id = $2)
ORDER BY c.id;

-- name: forget_integration
-- Scenarios and counts of its tools.
WITH tools_gone AS MATERIALIZED (
    SELECT DISTINCT t.id FROM tools t WHERE t.org_id = $1 AND t.integration_id = $2
),
unused AS (
    DELETE FROM tool_usage u USING tools_gone WHERE u.org_id = $1 AND u.tool_id = tools_gone.id
)
DELETE FROM scenarios WHERE org_id = $1 AND tool_ids && ARRAY(SELECT id FROM tools_gone);
