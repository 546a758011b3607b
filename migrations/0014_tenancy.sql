-- The second wall between organisations: row-level security, and the two roles that the product works under
-- (docs/tenancy.md).
--
-- `planvault_app` sees the rows of the organisation that its transaction names in `planvault.org_id`, and without one
-- none. `planvault_platform` works across organisations, with the verbs that each table's duties need, and steps down to
-- `planvault_app` for what it does in one. Both are groups that nobody logs in as: they own nothing, cannot bypass
-- row-level security and define nothing. Migrations run as the owner of the database, who is a member of both: to see
-- every row is thereby something it was given, and forced row-level security holds against it wherever a table gives it
-- nothing.

-- Roles belong to the whole server: several databases may be migrated at once, and the second finds them made.
DO $$
DECLARE
    step text;
BEGIN
    FOREACH step IN ARRAY ARRAY[
        'CREATE ROLE planvault_app NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT',
        'CREATE ROLE planvault_platform NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT',
        'GRANT planvault_app TO planvault_platform',
        format('GRANT planvault_app TO %I', current_user),
        format('GRANT planvault_platform TO %I', current_user)]
    LOOP
        CONTINUE WHEN step ~ '^CREATE' AND EXISTS (SELECT FROM pg_roles WHERE rolname = split_part(step, ' ', 3));
        CONTINUE WHEN step ~ '^GRANT' AND pg_has_role(
            CASE WHEN step ~ ' planvault_platform$' THEN 'planvault_platform' ELSE current_user::text END,
            split_part(step, ' ', 2), CASE WHEN step ~ ' planvault_platform$' THEN 'MEMBER' ELSE 'USAGE' END);
        BEGIN
            EXECUTE step;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;    -- another database's migration was first
        END;
    END LOOP;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'The database user % may not make the roles that PlanVault works under. Let an administrator '
            'run, and migrate again: CREATE ROLE planvault_app NOLOGIN NOINHERIT; CREATE ROLE planvault_platform NOLOGIN '
            'NOINHERIT; GRANT planvault_app TO planvault_platform; GRANT planvault_app, planvault_platform TO %',
            current_user, quote_ident(current_user)
            USING ERRCODE = 'insufficient_privilege';
END
$$;

DO $$
DECLARE
    loose text;
BEGIN
    SELECT string_agg(rolname, ', ') INTO loose FROM pg_roles
    WHERE rolname IN ('planvault_app', 'planvault_platform') AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin);
    IF loose IS NOT NULL THEN
        RAISE EXCEPTION 'The roles % must not log in, make roles or pass row-level security by: they would protect '
            'nothing. Let an administrator run, for each: ALTER ROLE … NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE', loose;
    END IF;
END
$$;

DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO planvault_app, planvault_platform', current_schema());
    -- In a database that was once Postgres 14 or older everybody may define things there.
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    -- Imports lay what comes in down in a temporary table first.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO planvault_app, planvault_platform', current_database());
END
$$;

-- The organisation of this transaction; NULL, which equals nothing, where none was named.
CREATE FUNCTION tenant_scope() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('planvault.org_id', true), '')::uuid;

-- Puts a table behind the wall, `key` being its column with the organisation. `app` and `platform` are the verbs that
-- the roles may use on it, e.g. 'SELECT, INSERT'; '' for none. Every later migration calls it for each table that
-- holds rows of organisations.
CREATE FUNCTION tenant_table(
    "table" regclass, app text DEFAULT 'SELECT, INSERT, UPDATE, DELETE',
    platform text DEFAULT 'SELECT, INSERT, UPDATE, DELETE', key name DEFAULT 'org_id'
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', "table");
    EXECUTE format('CREATE POLICY tenant ON %s TO planvault_app USING (%I = (SELECT tenant_scope())) '
                   'WITH CHECK (%I = (SELECT tenant_scope()))', "table", key, key);
    EXECUTE format('CREATE POLICY platform ON %s TO planvault_platform USING (true) WITH CHECK (true)', "table");
    PERFORM table_verbs("table", app, platform);
END
$$;

-- The same for a table whose rows are parts of another's: `key` refers to the `id` of `whole`, which is behind the wall.
CREATE FUNCTION tenant_part(
    "table" regclass, key name, whole regclass, app text DEFAULT 'SELECT, INSERT, UPDATE, DELETE',
    platform text DEFAULT 'SELECT, INSERT, UPDATE, DELETE'
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', "table");
    EXECUTE format('CREATE POLICY tenant ON %s TO planvault_app '
                   'USING (EXISTS (SELECT FROM %s AS whole WHERE whole.id = %I)) '
                   'WITH CHECK (EXISTS (SELECT FROM %s AS whole WHERE whole.id = %I))', "table", whole, key, whole, key);
    EXECUTE format('CREATE POLICY platform ON %s TO planvault_platform USING (true) WITH CHECK (true)', "table");
    PERFORM table_verbs("table", app, platform);
END
$$;

-- Grants of a table, also of one that holds nothing of any organisation.
CREATE FUNCTION table_verbs("table" regclass, app text, platform text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, planvault_app, planvault_platform', "table");
    IF app <> '' THEN
        EXECUTE format('GRANT %s ON %s TO planvault_app', app, "table");
    END IF;
    IF platform <> '' THEN
        EXECUTE format('GRANT %s ON %s TO planvault_platform', platform, "table");
    END IF;
END
$$;

-- Makes a function answer with the owner's rights, for `roles` alone: what is looked up before the organisation is
-- known (a key by its digest), and triggers that keep books. It must return no more than what is asked. Names in it
-- cannot be led astray: temporary objects come last.
CREATE FUNCTION definer_function(function regprocedure, roles text DEFAULT 'planvault_app, planvault_platform')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp',
                   function, current_schema());
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function);
    IF roles <> '' THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', function, roles);
    END IF;
END
$$;

REVOKE ALL ON FUNCTION tenant_table, tenant_part, table_verbs, definer_function FROM PUBLIC;

-- ── what there is ───────────────────────────────────────────────────────────────────────────────────────────────────

-- What works across organisations finds out here whose turn it is: queues, ages, revisions. What it then does for one,
-- it does as `planvault_app`. Credentials, catalogs and what people wrote are not among it, and nothing of them is
-- written but by the hosts' append.
SELECT tenant_table('organizations', platform => 'SELECT, UPDATE, DELETE', key => 'id');
SELECT tenant_table(name::regclass, platform => verbs) FROM (VALUES
    -- the hosts: the inbox, the append, and what it sums up
    ('commands', 'SELECT, UPDATE, DELETE'), ('events', 'SELECT, INSERT, DELETE'), ('runs', 'SELECT, INSERT, UPDATE'),
    ('sessions', 'SELECT'), ('audit_log', 'SELECT, INSERT'), ('blobs', 'SELECT, UPDATE, DELETE'),
    ('event_heads', 'SELECT, INSERT, UPDATE'), ('event_segments', 'SELECT, INSERT, UPDATE, DELETE'),
    -- the caretaker: what is old enough to go
    ('pruned_journals', 'SELECT, INSERT, UPDATE'), ('idempotency', 'SELECT, UPDATE, DELETE'),
    ('scheduled_occurrences', 'SELECT, UPDATE, DELETE'), ('scenarios', 'SELECT, UPDATE, DELETE'),
    -- schedulers, catalog workers and the learner: what waits for them
    ('scheduled_jobs', 'SELECT, UPDATE'), ('imports', 'SELECT, UPDATE'), ('bulk_imports', 'SELECT, UPDATE, DELETE'),
    ('bulk_import_documents', 'SELECT, UPDATE'), ('tool_index', 'SELECT'), ('integration_revision', 'SELECT'),
    ('tool_group_progress', 'SELECT'), ('feedback', 'SELECT'),
    -- nobody
    ('data_keys', ''), ('projects', ''), ('api_keys', ''), ('secrets', ''), ('integrations', ''),
    ('project_integrations', ''), ('tools', ''), ('signals', ''), ('catalog_revision', ''), ('lexeme_stats', ''),
    ('tool_group_centroids', ''), ('scenario_samples', ''), ('scenario_users', ''), ('scenario_lessons', ''),
    ('tool_usage', '')) AS of_table (name, verbs);
SELECT tenant_part('blob_chunks', 'blob_id', 'blobs', platform => '');
SELECT tenant_part('bulk_import_findings', 'import_id', 'bulk_imports', platform => '');

-- Hosts write for many organisations in one statement. Whose a row is, is not theirs to say: it is its session's.
DO $$
DECLARE
    written text;
BEGIN
    FOREACH written IN ARRAY ARRAY['events', 'runs', 'commands', 'event_heads', 'event_segments'] LOOP
        EXECUTE format('ALTER POLICY platform ON %1$I WITH CHECK (EXISTS (SELECT FROM sessions AS session '
                       'WHERE session.id = %1$I.session_id AND session.org_id = %1$I.org_id))', written);
    END LOOP;
END
$$;

-- Of no organisation: who runs what, and where the record is.
SELECT table_verbs('hosts', 'SELECT', 'SELECT, INSERT, UPDATE, DELETE');
SELECT table_verbs('shard_owner', '', 'SELECT, INSERT, UPDATE');
SELECT table_verbs('actor_leases', '', 'SELECT, INSERT, UPDATE, DELETE');
SELECT table_verbs('cluster_drains', '', 'SELECT, INSERT, UPDATE, DELETE');
SELECT table_verbs('event_store', 'SELECT', 'SELECT');
SELECT table_verbs('event_leftovers', '', 'SELECT, INSERT, UPDATE, DELETE');
SELECT table_verbs('schema_migrations', 'SELECT', 'SELECT');
GRANT USAGE ON SEQUENCE event_revisions TO planvault_platform;

-- Triggers that keep books about rows which the writer may not see, or not write.
SELECT definer_function(name::regprocedure, '') FROM unnest(ARRAY[
    'event_file_is_left()', 'tools_left_the_index()', 'scenario_without_samples_goes()']) AS name;

-- ── full text ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- The organisation's active tools that hold what is wanted. Asked of the table itself, `@@` would be a filter behind the
-- policy, over all tools of the organisation: the operator is not leakproof, so the index could not be used. Every key
-- in the index begins with its organisation's, and the organisation is compared besides; by a form of equality that no
-- index answers, so that the plan for all times is a scan of the one over the lexemes.
CREATE FUNCTION tools_holding(wanted tsquery) RETURNS TABLE (tool_id uuid, integration_id uuid, impacts sparsevec)
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT t.tool_id, t.integration_id, t.impacts FROM tool_index t
    WHERE t.active AND t.lexemes @@ wanted AND t.org_id IS NOT DISTINCT FROM tenant_scope();
END;
ALTER FUNCTION tools_holding(tsquery) SET enable_seqscan = off;
SELECT definer_function('tools_holding(tsquery)');

-- ── looked up before the organisation is known ──────────────────────────────────────────────────────────────────────

-- The organisation of a project: who calls back knows the project's id, and nothing else yet.
CREATE FUNCTION organization_of_project(project uuid) RETURNS uuid LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT org_id FROM projects WHERE id = project; END;

-- The newest seq of sessions that somebody watches, whatever organisations they are of.
CREATE FUNCTION event_heads_of(orgs uuid[], sessions uuid[]) RETURNS TABLE (session_id uuid, seq bigint)
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT watched.session_id, head.seq
    FROM unnest(orgs, sessions) AS watched(org_id, session_id),
    LATERAL (SELECT e.seq FROM events e WHERE e.session_id = watched.session_id AND e.org_id = watched.org_id
             ORDER BY e.seq DESC LIMIT 1) AS head;
END;
CREATE FUNCTION event_file_heads_of(orgs uuid[], sessions uuid[]) RETURNS TABLE (session_id uuid, seq bigint)
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT h.session_id, h.seq
    FROM unnest(orgs, sessions) AS watched(org_id, session_id)
    JOIN event_heads h ON h.session_id = watched.session_id AND h.org_id = watched.org_id;
END;

-- Where this database's events are: fixed by whoever asks first. One that has events from before there was a choice has
-- made it. `has_events`: of any organisation, in files.
CREATE FUNCTION choose_event_store(new_id uuid, wanted text) RETURNS TABLE (id uuid, mode text, has_events boolean)
LANGUAGE sql BEGIN ATOMIC
    INSERT INTO event_store (id, mode)
    SELECT new_id, CASE WHEN EXISTS (SELECT FROM events) THEN 'postgres' ELSE wanted END
    ON CONFLICT DO NOTHING;
    SELECT s.id, s.mode, EXISTS (SELECT FROM event_segments) FROM event_store s;
END;

SELECT definer_function(name::regprocedure) FROM unnest(ARRAY[
    'choose_event_store(uuid, text)', 'organization_of_project(uuid)', 'event_heads_of(uuid[], uuid[])', 'event_file_heads_of(uuid[], uuid[])']) AS name;
