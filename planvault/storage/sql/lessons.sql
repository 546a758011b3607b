What runs and votes have to teach, and where it is written down. $1 is the organisation where a statement is one's.

-- name: ended_runs
-- Up to $1 ended runs that nobody learned from, the longest ended first; of every organisation but $2, each row says
-- whose.
SELECT r.id, r.org_id, r.project_id, r.session_id, r.status, r.message_id, r.updated_at AS ended_at,
       s.external_user_hmac AS subject
FROM runs r
JOIN sessions s ON s.id = r.session_id
WHERE NOT r.is_open AND NOT r.learned AND r.org_id <> ALL($2::uuid[])
ORDER BY r.updated_at, r.id
LIMIT $1;

-- name: claim_run
-- The run counts as learned from, if this transaction commits; nothing comes back where it was before. The session is
-- held first, as by whoever deletes it: what is learned refers to both.
WITH held AS MATERIALIZED (
    SELECT s.id FROM runs r JOIN sessions s ON s.id = r.session_id WHERE r.org_id = $1 AND r.id = $2
    FOR KEY SHARE OF s
)
UPDATE runs SET learned = true FROM held
WHERE runs.org_id = $1 AND runs.id = $2 AND runs.session_id = held.id AND NOT is_open AND NOT learned
RETURNING runs.id;

-- name: settings
-- What the organisation and its project $2 have decided.
SELECT o.settings AS organization, p.settings AS project
FROM organizations o JOIN projects p ON p.org_id = o.id
WHERE o.id = $1 AND p.id = $2;

-- name: resolve
-- Current tools by name.
SELECT id, name FROM tools WHERE org_id = $1 AND current AND name = ANY($2::text[]);

-- name: similar
-- Scenarios that are near one prompt's vector ($4), of the project ($2) or the organisation; disabled ones learn too.
-- Held until the transaction ends: none of them goes while it is learned from.
SELECT c.id, c.kind, c.tool_ids, c.successes, c.failures, c.counted_at, found.similarity
FROM (
    SELECT s.scenario_id, max(-(s.embedding <#> $4)) AS similarity
    FROM scenario_samples s
    WHERE s.org_id = $1 AND s.embedding_model = $3 AND (s.project_id IS NULL OR s.project_id = $2)
      AND (s.embedding <#> $4) <= -$5::float8
    GROUP BY s.scenario_id
) AS found
JOIN scenarios c ON c.id = found.scenario_id AND c.org_id = $1
ORDER BY found.similarity DESC, c.id
LIMIT $6
FOR UPDATE OF c;

-- name: insert_automatic
INSERT INTO scenarios (id, org_id, kind, priority, tool_ids, counted_at) VALUES ($2, $1, 'automatic', 1, $3, $4);

-- name: evict
-- Automatic scenarios beyond the first $2: those that were supported least lately go.
DELETE FROM scenarios WHERE org_id = $1 AND id = ANY (ARRAY(
    SELECT id FROM scenarios
    WHERE org_id = $1 AND kind = 'automatic'
    ORDER BY counted_at DESC, id DESC
    OFFSET $2));

-- name: sample_subjects
-- Whose prompts an automatic scenario's vectors were made of.
SELECT coalesce(subject, ''::bytea) AS subject FROM scenario_samples WHERE org_id = $1 AND scenario_id = $2;

-- name: add_user
INSERT INTO scenario_users (scenario_id, org_id, subject) VALUES ($2, $1, coalesce($3::bytea, ''::bytea))
ON CONFLICT DO NOTHING;

-- name: count
-- A tally as somebody has counted it.
UPDATE scenarios SET successes = $3, failures = $4, counted_at = $5 WHERE org_id = $1 AND id = $2;

-- name: link
INSERT INTO scenario_lessons (run_id, scenario_id, org_id, share) VALUES ($2, $3, $1, $4)
ON CONFLICT (run_id, scenario_id) DO UPDATE SET share = greatest(scenario_lessons.share, excluded.share);

-- name: use_tools
-- One more use of each tool ($3), at $4, on what is left of the others after the half-life $5. Beyond 1,000 half-lives
-- nothing is left, in numbers that Postgres would refuse to write down.
INSERT INTO tool_usage AS known (org_id, project_id, tool_id, uses, counted_at)
SELECT $1, $2, tool_id, 1, $4 FROM unnest($3::uuid[]) AS used (tool_id)
ORDER BY tool_id
ON CONFLICT (project_id, tool_id) DO UPDATE
SET uses = known.uses * power(0.5::float8, least(greatest(extract(epoch FROM excluded.counted_at - known.counted_at), 0)
                                                 / extract(epoch FROM $5::interval), 1000)::float8)
           + power(0.5::float8, least(greatest(extract(epoch FROM known.counted_at - excluded.counted_at), 0)
                                      / extract(epoch FROM $5::interval), 1000)::float8),
    counted_at = greatest(known.counted_at, excluded.counted_at);

-- name: votes
-- Up to $1 votes that nobody learned from, on runs that were; of every organisation, each row says whose.
SELECT f.id, f.org_id, f.project_id, f.run_id FROM feedback f
JOIN runs r ON r.id = f.run_id AND r.learned
WHERE NOT f.learned
ORDER BY f.updated_at, f.id
LIMIT $1;

-- name: claim_vote
-- The vote as it stands, held after its session; nothing comes back where it was learned from meanwhile.
WITH held AS MATERIALIZED (
    SELECT s.id FROM feedback f JOIN sessions s ON s.id = f.session_id WHERE f.org_id = $1 AND f.id = $2
    FOR KEY SHARE OF s
)
SELECT f.value, f.taught, f.taught_at, f.updated_at FROM feedback f JOIN held ON held.id = f.session_id
WHERE f.org_id = $1 AND f.id = $2 AND NOT f.learned
FOR UPDATE OF f;

-- name: vote_is_taught
UPDATE feedback SET learned = true, taught = value, taught_at = updated_at WHERE org_id = $1 AND id = $2;

-- name: of_run
-- The scenarios that a run had a part in, held as `similar` holds them.
SELECT c.id, c.kind, c.tool_ids, c.successes, c.failures, c.counted_at, l.share
FROM scenario_lessons l
JOIN scenarios c ON c.id = l.scenario_id AND c.org_id = $1
WHERE l.org_id = $1 AND l.run_id = $2
ORDER BY c.id
FOR UPDATE OF c;
