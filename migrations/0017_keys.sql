-- Keys over their whole life (docs/encryption.md): users' own data keys, rotation, deletion of organisations.

-- `pending` is read by every process and written by none, `active` seals, `retired` only opens, `destroyed` is a row
-- without a key: what it sealed never opens again.
ALTER TABLE data_keys
    ADD COLUMN subject      bytea,                      -- purpose 'user': sessions.external_user_hmac
    ADD COLUMN generation   integer NOT NULL DEFAULT 1, -- of the organisation's rotations: all keys of one go together
    ADD COLUMN activated_at timestamptz,
    ADD COLUMN retired_at   timestamptz,
    ADD COLUMN destroyed_at timestamptz,
    DROP CONSTRAINT data_keys_status_check,
    DROP CONSTRAINT data_keys_org_id_purpose_version_key,
    ADD CONSTRAINT data_keys_status_check CHECK (status IN ('pending', 'active', 'retired', 'destroyed')),
    ADD CONSTRAINT data_keys_subject_check CHECK ((purpose = 'user') = (subject IS NOT NULL)),
    ADD CONSTRAINT data_keys_destroyed_check CHECK (status <> 'destroyed' OR wrapped = ''),
    ADD CONSTRAINT data_keys_version_key UNIQUE NULLS NOT DISTINCT (org_id, purpose, subject, version);

-- A deleted organisation answers nobody; until `purge_after` it can be restored.
ALTER TABLE organizations
    ADD COLUMN deleted_at  timestamptz,
    ADD COLUMN purge_after timestamptz,
    ADD CHECK ((deleted_at IS NULL) = (purge_after IS NULL));
CREATE INDEX organizations_to_purge ON organizations (purge_after) WHERE purge_after IS NOT NULL;

-- Whose keys open something, who may be called back, whose jobs are due (0015): the answer to all of them.
CREATE OR REPLACE FUNCTION organization_is_live(org uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN EXISTS (SELECT FROM organizations WHERE id = org AND deleted_at IS NULL);
SELECT definer_function('organization_is_live(uuid)');

-- Rotations walk an organisation's rows.
CREATE INDEX sessions_by_org ON sessions (org_id, id);
CREATE INDEX blobs_by_org ON blobs (org_id, id);

-- What stays of an organisation that is gone: that it was deleted, when, by whom, and how much. No name, no content.
CREATE TABLE organization_deletions (
    org_id         uuid PRIMARY KEY,
    requested_at   timestamptz NOT NULL,
    requested_by   text NOT NULL,                       -- label of the principal
    purge_after    timestamptz NOT NULL,
    restored_at    timestamptz,
    keys_destroyed integer,                             -- NULL until the purge began
    purge_began_at timestamptz,
    purged_at      timestamptz,
    gone           jsonb NOT NULL DEFAULT '{}'          -- rows deleted, by table; files
);

CREATE TABLE key_rotations (
    id            uuid PRIMARY KEY,
    org_id        uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    generation    integer NOT NULL,                     -- of the keys that it makes
    state         text NOT NULL DEFAULT 'preparing'
                  CHECK (state IN ('preparing', 'pending', 'renewing', 'spreading', 'draining', 'encrypting',
                                   'completed')),
    reason        text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    entered_at    timestamptz NOT NULL DEFAULT now(),   -- the state
    finished_at   timestamptz,
    position      jsonb NOT NULL DEFAULT '{}',          -- where the walk over the sealed columns stands
    looked_at     bigint NOT NULL DEFAULT 0,
    reencrypted   bigint NOT NULL DEFAULT 0,
    passes        integer NOT NULL DEFAULT 0,           -- whole walks that ended
    found_in_pass bigint NOT NULL DEFAULT 0,            -- rows under an old key that the walk now under way has met
    unreadable    bigint NOT NULL DEFAULT 0,            -- … that did not open
    attempts      integer NOT NULL DEFAULT 0,           -- claims: a later one takes over from an earlier
    leased_until  timestamptz,
    error         text,
    UNIQUE (org_id, generation)
);
CREATE UNIQUE INDEX key_rotations_one_open ON key_rotations (org_id) WHERE state <> 'completed';

SELECT tenant_table('key_rotations');
SELECT table_verbs('organization_deletions', '', 'SELECT, INSERT, UPDATE');

-- ── no write with a key that may not seal ───────────────────────────────────────────────────────────────────────────

-- What a writer and the retirement of a generation meet at. Advisory: a row lock would be a write for every append.
CREATE FUNCTION key_generation_lock(org uuid, generation integer) RETURNS bigint LANGUAGE sql IMMUTABLE
    RETURN hashtextextended('planvault/keys/' || org || '/' || generation, 0);

-- Refuses ciphertext of keys that are not active. The lock is held to the end of the transaction, and what it guards is
-- read after it was taken: a retirement waits for this writer, or this writer sees the retirement.
CREATE FUNCTION keys_may_seal(ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN SELECT DISTINCT org_id, generation FROM data_keys WHERE id = ANY(ids) ORDER BY 1, 2 LOOP
        PERFORM pg_advisory_xact_lock_shared(key_generation_lock(wanted.org_id, wanted.generation));
    END LOOP;
    IF EXISTS (SELECT FROM data_keys WHERE id = ANY(ids) AND status <> 'active') THEN
        RAISE EXCEPTION 'A value was sealed with a data key that may not seal any more'
            USING ERRCODE = 'PV001', HINT = 'Read the organisation''s keys again, and seal it with the active one.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION keys_may_seal FROM PUBLIC;   -- called by triggers, which have the owner's rights

CREATE FUNCTION sealed_with(envelope bytea) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN length(envelope) >= 81 THEN encode(substr(envelope, 2, 16), 'hex')::uuid END;

-- Watches a column of envelopes. Every later migration calls it for each one that it adds (planvault/storage/sealed.py).
-- `only_resealed`: of its rows nothing else is ever changed, so one look at all that a statement changed is enough.
CREATE FUNCTION sealed_column(
    "table" regclass, "column" name, "where" text DEFAULT 'true', only_resealed boolean DEFAULT false
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := format('sealed_%s_%s', (SELECT relname FROM pg_class WHERE oid = "table"), "column");
BEGIN
    -- The append has a part for each of its tables, most of them empty in most of its statements: those cost a look.
    EXECUTE format('CREATE FUNCTION %I() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN '
                   'IF EXISTS (SELECT FROM fresh) THEN '
                   'PERFORM keys_may_seal(ARRAY(SELECT DISTINCT sealed_with(%I) FROM fresh WHERE %s)); END IF; '
                   'RETURN NULL; END $body$', name || '_new', "column", "where");
    EXECUTE format('SELECT definer_function(%L, %L)', name || '_new()', '');
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %s REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT '
                   'EXECUTE FUNCTION %I()', name || '_new', "table", name || '_new');
    IF only_resealed THEN
        EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %s REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT '
                       'EXECUTE FUNCTION %I()', name, "table", name || '_new');
        RETURN;
    END IF;
    EXECUTE format('CREATE FUNCTION %I() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN '
                   'PERFORM keys_may_seal(ARRAY[sealed_with(NEW.%I)]); RETURN NULL; END $body$', name, "column");
    EXECUTE format('SELECT definer_function(%L, %L)', name || '()', '');
    -- Another column's change leaves what an old key sealed where it is.
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE OF %I ON %s FOR EACH ROW WHEN (NEW.%I IS DISTINCT FROM OLD.%I '
                   'AND (%s)) EXECUTE FUNCTION %I()', name, "column", "table", "column", "column",
                   CASE WHEN "where" = 'true' THEN 'true' ELSE 'NEW.' || "where" END, name);
END
$$;
REVOKE ALL ON FUNCTION sealed_column FROM PUBLIC;

SELECT sealed_column('events', 'payload', only_resealed => true);
SELECT sealed_column('commands', 'payload');
SELECT sealed_column('sessions', 'context');
SELECT sealed_column('runs', 'detail');
SELECT sealed_column('blobs', 'detail');
SELECT sealed_column('blob_chunks', 'payload', only_resealed => true);
SELECT sealed_column('audit_log', 'details');
SELECT sealed_column('secrets', 'value');
SELECT sealed_column('idempotency', 'answer');
SELECT sealed_column('project_integrations', 'auth_headers');
SELECT sealed_column('scheduled_jobs', 'payload');
SELECT sealed_column('signals', 'name');
SELECT sealed_column('scenarios', 'samples');
SELECT sealed_column('scenarios', 'instruction');
SELECT sealed_column('scenarios', 'created_by');
SELECT sealed_column('feedback', 'comment');
SELECT sealed_column('data_keys', 'wrapped', 'purpose = ''user''');

-- ── events in files ─────────────────────────────────────────────────────────────────────────────────────────────────

-- A file is sealed with one key: its owner goes on in another one when its key changes (docs/session-store.md). Before
-- there were rotations an organisation had one.
ALTER TABLE event_segments ADD COLUMN key_id uuid;      -- data_keys.id; no reference: its check would lock rows
UPDATE event_segments s SET key_id = k.id FROM data_keys k WHERE k.org_id = s.org_id AND k.purpose = 'org';
ALTER TABLE event_segments ALTER COLUMN key_id SET NOT NULL;
CREATE INDEX event_segments_by_key ON event_segments (key_id);

-- What owners write is sealed with an active key, as in every sealed column. A file that comes in another's place
-- (`revision`) holds what that one held, also under an old key: the rotation meets it there.
CREATE FUNCTION event_file_is_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM keys_may_seal(ARRAY(SELECT DISTINCT key_id FROM fresh WHERE revision = 0));
    RETURN NULL;
END
$$;
SELECT definer_function('event_file_is_sealed()', '');
CREATE TRIGGER event_file_is_new AFTER INSERT ON event_segments REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION event_file_is_sealed();
CREATE TRIGGER event_file_grows AFTER UPDATE ON event_segments REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION event_file_is_sealed();
