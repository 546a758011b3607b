Tools: every version stays, `current` marks what selection may offer. $1 is always the organisation.

-- name: lock_names
-- Names are unique in the organisation: those who hand them out take turns. Held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('planvault.tools:' || $1::uuid::text, 0))

-- name: latest_versions
-- The newest version of every tool that an integration ever had.
SELECT DISTINCT ON (id) id, version, definition, definition_hash, document, current
FROM tools WHERE org_id = $1 AND integration_id = $2 ORDER BY id, version DESC

-- name: names_of_others
SELECT name FROM tools WHERE org_id = $1 AND integration_id <> $2 AND current

-- name: retire
UPDATE tools SET current = false WHERE org_id = $1 AND integration_id = $2 AND current AND id = ANY($3::uuid[])

-- name: revive
-- A tool that came back unchanged: its newest version is offered again.
UPDATE tools SET current = true WHERE org_id = $1 AND integration_id = $2 AND id = $3 AND version = $4

-- name: insert_tool
INSERT INTO tools (id, version, org_id, integration_id, name, group_name, definition, definition_hash, document)
VALUES ($2, $3, $1, $4, $5, $6, $7, $8, $9)

-- name: enabled_tools
-- A project's current tools by name, after the name $3; of one integration where $5 is given.
SELECT t.definition FROM tools t
LEFT JOIN project_integrations p
  ON p.integration_id = t.integration_id AND p.org_id = t.org_id AND p.project_id = $2
WHERE t.org_id = $1 AND t.current AND coalesce(p.enabled, true) AND t.name > $3
  AND ($5::uuid IS NULL OR t.integration_id = $5)
ORDER BY t.name LIMIT $4

-- name: tools_at
-- Exactly these versions, current or not.
SELECT t.definition FROM tools t
JOIN unnest($2::uuid[], $3::integer[]) AS wanted (id, version) ON wanted.id = t.id AND wanted.version = t.version
WHERE t.org_id = $1

-- name: names_of
SELECT name FROM tools WHERE org_id = $1 AND integration_id = $2 AND current ORDER BY name
