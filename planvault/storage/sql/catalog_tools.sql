Tools: every version stays, `current` marks what selection may offer. $1 is always the organisation.

-- name: lock_names
-- Names are unique in the organisation: those who hand them out take turns. Held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('planvault.tools:' || $1::uuid::text, 0))

-- name: known_tools
-- The newest version of every tool that these integrations ever had.
SELECT DISTINCT ON (integration_id, id) id, integration_id, version, name, definition_hash, current,
       coalesce(definition #>> '{binding,method}', 'native') AS method,
       coalesce(definition #>> '{binding,path}', definition #>> '{binding,function}') AS path
FROM tools WHERE org_id = $1 AND integration_id = ANY($2::uuid[]) ORDER BY integration_id, id, version DESC

-- name: name_holders
SELECT name, integration_id FROM tools WHERE org_id = $1 AND name = ANY($2::text[]) AND current

-- name: retire
UPDATE tools SET current = false WHERE org_id = $1 AND current AND id = ANY($2::uuid[])

-- name: revive
-- Tools that came back unchanged: their newest versions are offered again.
UPDATE tools t SET current = true
FROM unnest($2::uuid[], $3::integer[]) AS back (id, version)
WHERE t.org_id = $1 AND t.id = back.id AND t.version = back.version

-- name: incoming
CREATE TEMP TABLE IF NOT EXISTS tools_incoming (
    id uuid, version integer, integration_id uuid, name text, group_name text, definition text, definition_hash text,
    document text
) ON COMMIT DROP;
TRUNCATE pg_temp.tools_incoming;

-- name: insert_incoming
INSERT INTO tools (id, version, org_id, integration_id, name, group_name, definition, definition_hash, document)
SELECT id, version, $1, integration_id, name, group_name, definition::jsonb, definition_hash, document
FROM pg_temp.tools_incoming

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
