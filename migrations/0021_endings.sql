-- How things end that somebody marks first: organisations by their own OWNER, deleted projects, people of the staff
-- (docs/privacy.md).

-- ── an organisation, by its own word ────────────────────────────────────────────────────────────────────────────────

-- The audit log of an organisation that is gone is kept for as long as its own settings said.
ALTER TABLE organization_deletions
    ADD COLUMN audit_until        timestamptz,          -- NULL until the purge began
    ADD COLUMN audit_forgotten_at timestamptz;
UPDATE organization_deletions SET audit_until = purge_began_at + interval '365 days' WHERE purge_began_at IS NOT NULL;

-- Marks the organisation of this transaction, and nobody else's. No row: it is not there, or marked already.
-- `by_whom`: label of who asks; it stays.
CREATE FUNCTION organization_ends(org uuid, days double precision, by_whom text)
RETURNS TABLE (deleted_at timestamptz, purge_after timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF org IS DISTINCT FROM tenant_scope() THEN
        RAISE EXCEPTION 'an organisation is ended from inside' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY
    WITH marked AS (
        UPDATE organizations o SET deleted_at = now(), purge_after = now() + days * interval '1 day'
        WHERE o.id = org AND o.deleted_at IS NULL
        RETURNING o.deleted_at, o.purge_after),
    noted AS (
        -- A second deletion after a restoration begins the evidence anew.
        INSERT INTO organization_deletions (org_id, requested_at, purge_after, requested_by)
        SELECT org, marked.deleted_at, marked.purge_after, by_whom FROM marked
        ON CONFLICT (org_id) DO UPDATE
        SET requested_at = excluded.requested_at, purge_after = excluded.purge_after,
            requested_by = excluded.requested_by, restored_at = NULL)
    SELECT marked.deleted_at, marked.purge_after FROM marked;
END
$$;
SELECT definer_function('organization_ends(uuid, double precision, text)');

-- ── a deleted project ───────────────────────────────────────────────────────────────────────────────────────────────

-- What a deleted project held goes by itself, by an erasure of the project; until `purge_after` it can be restored.
-- Those that were deleted before have their week from now on.
ALTER TABLE projects
    ADD COLUMN purge_after timestamptz,
    ADD COLUMN name_before text;                        -- its name is free for another one meanwhile
UPDATE projects SET purge_after = now() + interval '7 days',
                    name_before = replace(name, ' (deleted ' || id || ')', '')
WHERE deleted_at IS NOT NULL;
ALTER TABLE projects ADD CHECK (deleted_at IS NULL AND purge_after IS NULL AND name_before IS NULL
                                OR deleted_at IS NOT NULL AND purge_after IS NOT NULL AND name_before IS NOT NULL);
CREATE INDEX projects_to_purge ON projects (purge_after) WHERE purge_after IS NOT NULL;

-- Whose week is over and that no erasure has yet, of organisations that are live: ids, for the worker that asks for it.
CREATE FUNCTION deleted_project_due() RETURNS TABLE (org_id uuid, id uuid)
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT p.org_id, p.id FROM projects AS p
    WHERE p.purge_after <= now() AND organization_is_live(p.org_id)
      AND NOT EXISTS (SELECT FROM privacy_requests AS r
                      WHERE r.org_id = p.org_id AND r.project_id = p.id AND r.kind = 'erasure'
                        AND r.state IN ('queued', 'running'))
    ORDER BY p.purge_after LIMIT 1;
END;
SELECT definer_function('deleted_project_due()', 'planvault_platform');

-- ── people of the staff ─────────────────────────────────────────────────────────────────────────────────────────────

-- Of target 'member' `subjects` is the person's users.id, 16 bytes; pseudonyms of external users have 32.
ALTER TABLE privacy_requests
    DROP CONSTRAINT privacy_requests_target_check,
    DROP CONSTRAINT privacy_requests_check1,
    ADD CONSTRAINT privacy_requests_target_check
        CHECK (target IN ('external_user', 'project', 'organization', 'member')),
    ADD CONSTRAINT privacy_requests_subjects_check
        CHECK ((target IN ('external_user', 'member')) = (cardinality(subjects) > 0));

-- Who somebody is that is, or was, a member of this transaction's organisation. One that left is not seen otherwise.
CREATE FUNCTION person_known_here(org uuid, person uuid) RETURNS TABLE (
    id uuid, issuer text, subject text, email text, email_verified boolean, name text)
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT u.id, u.issuer, u.subject, u.email, u.email_verified, u.name FROM users AS u
    WHERE u.id = person AND org = tenant_scope()
      AND (EXISTS (SELECT FROM members AS m WHERE m.org_id = org AND m.user_id = person)
           OR EXISTS (SELECT FROM invitations AS i WHERE i.org_id = org AND i.accepted_by = person));
END;
SELECT definer_function('person_known_here(uuid, uuid)', 'planvault_app');

-- A person goes, unless an organisation has them among its people. Answers whether one went.
CREATE FUNCTION person_goes(person uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever takes them in at this moment holds the row: what they did is seen by the next statement, not by this one.
    PERFORM FROM users WHERE id = person FOR UPDATE;
    DELETE FROM users WHERE id = person AND NOT EXISTS (SELECT FROM members WHERE user_id = person);
    RETURN FOUND;
END
$$;
SELECT definer_function('person_goes(uuid)', 'planvault_platform');
