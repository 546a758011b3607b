-- Who knows the text of a key, what an organisation's own role may write of it, and what is refused to a project that is
-- gone (docs/access.md, docs/tenancy.md).

-- ── whoever was shown a text ────────────────────────────────────────────────────────────────────────────────────────

-- A key outlives whoever made it: so it is known whose end should be its own. Rotation shows the text to somebody else,
-- and the maker of the text before stays with it until that one ends. No person's name stands here.
ALTER TABLE service_tokens
    ADD COLUMN maker_user    uuid REFERENCES users ON DELETE SET NULL,
    ADD COLUMN retiring_user uuid REFERENCES users ON DELETE SET NULL;

-- Of a key that a service token made `maker_user` is the person who was shown the token.
ALTER TABLE api_keys
    ADD COLUMN maker_kind     text NOT NULL DEFAULT '' CHECK (maker_kind IN ('', 'admin', 'person', 'service')),
    ADD COLUMN maker_user     uuid REFERENCES users ON DELETE SET NULL,
    ADD COLUMN maker_token    uuid,
    ADD COLUMN retiring_user  uuid REFERENCES users ON DELETE SET NULL,
    ADD COLUMN retiring_token uuid;

-- Whether whoever was shown a text has no place in the organisation any more.
CREATE FUNCTION maker_is_gone(org uuid, kind text, person uuid, token uuid) RETURNS boolean LANGUAGE sql STABLE
    RETURN kind = 'person' AND person IS NULL OR kind = 'service' AND token IS NULL
        OR person IS NOT NULL AND NOT EXISTS (SELECT FROM members AS m WHERE m.org_id = org AND m.user_id = person)
        OR token IS NOT NULL AND NOT EXISTS (
            SELECT FROM service_tokens AS t
            WHERE t.org_id = org AND t.id = token AND t.revoked_at IS NULL AND t.expires_at > now());

-- Who is looked for when a token or a person goes; the rows of an organisation are few.
CREATE INDEX api_keys_by_org ON api_keys (org_id, project_id, id);

-- ── an organisation's own row ───────────────────────────────────────────────────────────────────────────────────────

-- Its quota, its end and its name are the platform's word: whoever can run SQL as the tenant's role cannot give them.
SELECT table_verbs('organizations', 'SELECT', 'SELECT, DELETE');
GRANT INSERT (id, name, settings), UPDATE (settings, dek_wrap) ON organizations TO planvault_app;
GRANT UPDATE (keys_per_project, deleted_at, purge_after) ON organizations TO planvault_platform;

-- ── the audit log's doors ───────────────────────────────────────────────────────────────────────────────────────────

-- As in 0018, but for the organisation of the transaction alone: without one they had asked nobody.
CREATE OR REPLACE FUNCTION audit_log_reseal(org uuid, ids uuid[], sealed bytea[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    done bigint;
BEGIN
    IF org IS DISTINCT FROM tenant_scope() OR org IS NULL THEN
        RAISE EXCEPTION 'the audit log is opened from inside its organisation' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('planvault.audit_door', 'details', true);
    UPDATE audit_log SET details = new.sealed
    FROM unnest(ids, sealed) AS new(id, sealed)
    WHERE audit_log.id = new.id AND org_id = org
      AND octet_length(details) > 0 AND octet_length(new.sealed) > 0;
    GET DIAGNOSTICS done = ROW_COUNT;
    PERFORM set_config('planvault.audit_door', '', true);
    RETURN done;
END
$$;

CREATE OR REPLACE FUNCTION audit_log_erase(org uuid, ids uuid[]) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    IF org IS DISTINCT FROM tenant_scope() OR org IS NULL THEN
        RAISE EXCEPTION 'the audit log is opened from inside its organisation' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('planvault.audit_door', 'details', true);
    RETURN QUERY
    UPDATE audit_log SET details = ''
    WHERE org_id = org AND id = ANY (ids) AND action <> 'AUDIT_ERASED' AND octet_length(details) > 0
    RETURNING seq;
    PERFORM set_config('planvault.audit_door', '', true);
END
$$;
SELECT definer_function('audit_log_reseal(uuid, uuid[], bytea[])');
SELECT definer_function('audit_log_erase(uuid, uuid[])');

-- ── a project that is gone ──────────────────────────────────────────────────────────────────────────────────────────

-- As in 0019, and nothing new in a deleted project either: a replica may believe for seconds that it is there. Whoever
-- deletes one holds its lock, so that what was begun before is seen, and what comes later sees the deletion here.
CREATE OR REPLACE FUNCTION nothing_new_while_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(erasure_lock(NEW.org_id, uuid_send(NEW.project_id)));
    IF NEW.external_user_hmac IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared(erasure_lock(NEW.org_id, NEW.external_user_hmac));
    END IF;
    IF EXISTS (
        SELECT FROM privacy_requests r
        WHERE r.org_id = NEW.org_id AND r.kind = 'erasure' AND r.state IN ('queued', 'running')
          AND (r.project_id = NEW.project_id OR NEW.external_user_hmac = ANY (r.subjects))
    ) THEN
        RAISE EXCEPTION 'An erasure is under way' USING ERRCODE = 'PV003';
    END IF;
    IF EXISTS (SELECT FROM projects p WHERE p.id = NEW.project_id AND p.deleted_at IS NOT NULL) THEN
        RAISE EXCEPTION 'The project is deleted' USING ERRCODE = 'PV004';
    END IF;
    RETURN NEW;
END
$$;

-- ── what is of another organisation ─────────────────────────────────────────────────────────────────────────────────

-- A reference that names its organisation would need an index more on `runs`, which every append writes (its updates
-- cannot be HOT). These tables are written seldom: they look for themselves.
CREATE FUNCTION run_is_ones_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.run_id IS NOT NULL AND NOT EXISTS (SELECT FROM runs r WHERE r.id = NEW.run_id AND r.org_id = NEW.org_id) THEN
        RAISE EXCEPTION 'there is no such run in this organisation' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER run_is_ones_own BEFORE INSERT OR UPDATE OF run_id, org_id ON feedback
    FOR EACH ROW EXECUTE FUNCTION run_is_ones_own();
CREATE TRIGGER run_is_ones_own BEFORE INSERT OR UPDATE OF run_id, org_id ON scenario_lessons
    FOR EACH ROW EXECUTE FUNCTION run_is_ones_own();
CREATE TRIGGER run_is_ones_own BEFORE INSERT OR UPDATE OF run_id, org_id ON scenario_samples
    FOR EACH ROW EXECUTE FUNCTION run_is_ones_own();

-- A fence shuts its session's record for good. Its row outlives the session, so that it can be no reference.
CREATE FUNCTION fenced_session_is_ones_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM sessions s WHERE s.id = NEW.session_id AND s.org_id = NEW.org_id) THEN
        RAISE EXCEPTION 'there is no such session in this organisation' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER fenced_session_is_ones_own BEFORE INSERT OR UPDATE OF session_id, org_id ON erased_sessions
    FOR EACH ROW EXECUTE FUNCTION fenced_session_is_ones_own();
