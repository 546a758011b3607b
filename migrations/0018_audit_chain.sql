-- The audit log as a chain (docs/audit.md): each row carries the hash of the one before it, an organisation's head is
-- signed, and what retention takes away leaves a signed record that verification goes on across.

ALTER TABLE audit_log
    ADD COLUMN seq            bigint,   -- the row's place in its organisation's chain, from 1
    ADD COLUMN prev_hash      bytea,
    ADD COLUMN hash           bytea,
    ADD COLUMN details_digest bytea;    -- salted; the salt lies in `details`. NULL: written before there was a chain

-- Where each chain ends, and how far retention has pruned it.
CREATE TABLE audit_heads (
    org_id      uuid PRIMARY KEY,       -- no foreign key: the log outlives its organisation
    seq         bigint NOT NULL DEFAULT 0,
    hash        bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    pruned_seq  bigint NOT NULL DEFAULT 0,
    pruned_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
) WITH (fillfactor = 50);

-- Ed25519 keys. The private half is sealed under the organisation's data key: the database alone cannot sign.
CREATE TABLE audit_signing_keys (
    id            uuid PRIMARY KEY,
    org_id        uuid NOT NULL,
    version       integer NOT NULL,
    public_key    bytea NOT NULL,
    seed          bytea NOT NULL,       -- encrypted
    at            timestamptz NOT NULL,
    introduced_by bytea,                -- the public key before it, whose signature `introduction` is
    introduction  bytea,
    UNIQUE (org_id, version)
);

-- Signed heads, made while the log grows.
CREATE TABLE audit_anchors (
    org_id     uuid NOT NULL,
    seq        bigint NOT NULL,
    hash       bytea NOT NULL,
    at         timestamptz NOT NULL,
    public_key bytea NOT NULL,
    signature  bytea NOT NULL,
    PRIMARY KEY (org_id, seq)
);

-- What retention took away: rows first_seq to last_seq, whole stretches between two anchors.
CREATE TABLE audit_segments (
    org_id     uuid NOT NULL,
    first_seq  bigint NOT NULL,
    last_seq   bigint NOT NULL CHECK (last_seq >= first_seq),
    prev_hash  bytea NOT NULL,
    last_hash  bytea NOT NULL,
    at         timestamptz NOT NULL,
    public_key bytea NOT NULL,
    signature  bytea NOT NULL,
    PRIMARY KEY (org_id, last_seq)
);

-- docs/audit.md has it byte by byte; planvault.audit.record says the same in Python.
CREATE FUNCTION audit_row_hash(
    prev bytea, org uuid, seq bigint, id uuid, at timestamptz, project uuid, session uuid, run uuid, action text,
    digest bytea
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE RETURN sha256(
    'planvault/audit/row/1'::bytea || prev || uuid_send(org) || int8send(seq) || uuid_send(id)
    || int8send((extract(epoch FROM at) * 1000000)::bigint)
    || CASE WHEN project IS NULL THEN '\x00'::bytea ELSE '\x01'::bytea || uuid_send(project) END
    || CASE WHEN session IS NULL THEN '\x00'::bytea ELSE '\x01'::bytea || uuid_send(session) END
    || CASE WHEN run IS NULL THEN '\x00'::bytea ELSE '\x01'::bytea || uuid_send(run) END
    || int4send(octet_length(convert_to(action, 'UTF8'))) || convert_to(action, 'UTF8')
    || CASE WHEN digest IS NULL THEN '\x00'::bytea ELSE '\x01'::bytea || digest END
);

-- ── what there is ───────────────────────────────────────────────────────────────────────────────────────────────────

DROP TRIGGER audit_log_only_grows ON audit_log;
DROP FUNCTION audit_log_only_grows();

DO $$
DECLARE
    r record;
    org uuid;
    place bigint;
    last bytea;
    next bytea;
BEGIN
    FOR r IN SELECT * FROM audit_log ORDER BY org_id, id LOOP
        IF org IS DISTINCT FROM r.org_id THEN
            org := r.org_id; place := 0; last := decode(repeat('00', 32), 'hex');
            INSERT INTO audit_heads (org_id) VALUES (org);
        END IF;
        place := place + 1;
        next := audit_row_hash(last, org, place, r.id, r.at, r.project_id, r.session_id, r.run_id, r.action, NULL);
        UPDATE audit_log SET seq = place, prev_hash = last, hash = next WHERE id = r.id;
        last := next;
        UPDATE audit_heads SET seq = place, hash = last WHERE org_id = org;
    END LOOP;
END
$$;

-- Pages are in the chain's order: a row that comes late cannot slip in behind a reader.
DROP INDEX audit_log_by_org, audit_log_by_action, audit_log_by_session;
CREATE UNIQUE INDEX audit_log_by_seq ON audit_log (org_id, seq);
CREATE INDEX audit_log_by_action ON audit_log (org_id, action, seq);
CREATE INDEX audit_log_by_session ON audit_log (session_id, seq) WHERE session_id IS NOT NULL;

-- ── growing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- A row comes without a place, and with a digest. Its organisation is noted for the end of the transaction.
CREATE FUNCTION audit_log_enters() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted text := coalesce(current_setting('planvault.audit_orgs', true), '');
BEGIN
    IF NEW.seq IS NOT NULL OR NEW.prev_hash IS NOT NULL OR NEW.hash IS NOT NULL THEN
        RAISE EXCEPTION 'audit_log gives a row its place itself' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.details_digest IS NULL OR octet_length(NEW.details_digest) <> 32 THEN
        RAISE EXCEPTION 'a row of audit_log needs the digest of its details'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF position(NEW.org_id::text IN noted) = 0 THEN
        PERFORM set_config('planvault.audit_orgs', noted || ',' || NEW.org_id, true);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_log_enters BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_enters();

-- Rows get their places when their transaction commits: by then it holds every other lock that it will ever want, foreign
-- keys' among them, so nobody who waits for a head is waited for by its holder. Several organisations' heads are taken
-- in the order of their ids. Chained at the insert, an append (which refers to organisations) and a change of an
-- organisation's settings could each have held what the other wanted.
CREATE FUNCTION audit_log_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted text := coalesce(current_setting('planvault.audit_orgs', true), '');
    place bigint;
    last bytea;
    next bytea;
BEGIN
    IF noted <> '' THEN
        INSERT INTO audit_heads (org_id)
        SELECT id::uuid FROM unnest(string_to_array(ltrim(noted, ','), ',')) AS id
        WHERE NOT EXISTS (SELECT FROM audit_heads WHERE org_id = id::uuid)
        ORDER BY id::uuid
        ON CONFLICT DO NOTHING;
        PERFORM FROM audit_heads WHERE org_id = ANY (string_to_array(ltrim(noted, ','), ',')::uuid[])
        ORDER BY org_id FOR UPDATE;
        PERFORM set_config('planvault.audit_orgs', '', true);
    END IF;
    SELECT seq + 1, hash INTO STRICT place, last FROM audit_heads WHERE org_id = NEW.org_id FOR UPDATE;
    next := audit_row_hash(last, NEW.org_id, place, NEW.id, NEW.at, NEW.project_id, NEW.session_id, NEW.run_id,
                           NEW.action, NEW.details_digest);
    PERFORM set_config('planvault.audit_door', 'chain', true);
    UPDATE audit_log SET seq = place, prev_hash = last, hash = next WHERE id = NEW.id;
    PERFORM set_config('planvault.audit_door', '', true);
    UPDATE audit_heads SET seq = place, hash = next WHERE org_id = NEW.org_id;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER audit_log_chain AFTER INSERT ON audit_log DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_log_chain();

-- What may happen to a row once it is there: it gets its place, once; its details are sealed anew or erased; its whole
-- segment is pruned. Each through the one function that opens the door for it, below, and closes it behind; by hand, since
-- only a superuser may tie a setting of ours to a function.
CREATE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    door text := coalesce(current_setting('planvault.audit_door', true), '');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.org_id, NEW.at, NEW.action, NEW.created_at, NEW.project_id, NEW.session_id, NEW.run_id,
            NEW.details_digest)
            IS NOT DISTINCT FROM (OLD.id, OLD.org_id, OLD.at, OLD.action, OLD.created_at, OLD.project_id,
            OLD.session_id, OLD.run_id, OLD.details_digest)
        THEN
            IF door = 'chain' AND OLD.seq IS NULL AND NEW.details = OLD.details THEN
                RETURN NEW;
            END IF;
            IF door = 'details' AND OLD.seq IS NOT NULL
                AND (NEW.seq, NEW.prev_hash, NEW.hash) = (OLD.seq, OLD.prev_hash, OLD.hash)
            THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    IF TG_OP = 'DELETE' AND door = 'prune' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_log only grows' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_only_grows();
CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();

-- ── the doors ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- The same details under another data key. Erased ones stay erased, whoever read them before. Answers how many.
CREATE FUNCTION audit_log_reseal(org uuid, ids uuid[], sealed bytea[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    done bigint;
BEGIN
    PERFORM set_config('planvault.audit_door', 'details', true);
    UPDATE audit_log SET details = new.sealed
    FROM unnest(ids, sealed) AS new(id, sealed)
    WHERE audit_log.id = new.id AND org_id = org AND org_id = coalesce(tenant_scope(), org)
      AND octet_length(details) > 0 AND octet_length(new.sealed) > 0;
    GET DIAGNOSTICS done = ROW_COUNT;
    PERFORM set_config('planvault.audit_door', '', true);
    RETURN done;
END
$$;

-- Blanks details. Answers the places of the rows that had some: an AUDIT_ERASED row of the same transaction names them.
-- Those rows are themselves never blanked, else erasures could not be told from tampering.
CREATE FUNCTION audit_log_erase(org uuid, ids uuid[]) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('planvault.audit_door', 'details', true);
    RETURN QUERY
    UPDATE audit_log SET details = ''
    WHERE org_id = org AND org_id = coalesce(tenant_scope(), org) AND id = ANY (ids)
      AND action <> 'AUDIT_ERASED' AND octet_length(details) > 0
    RETURNING seq;
    PERFORM set_config('planvault.audit_door', '', true);
END
$$;

-- Takes away the rows of the segment that ends at `upto`, which must be there, signed, and fit. Answers how many.
CREATE FUNCTION audit_log_prune(org uuid, upto bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    head audit_heads;
    done bigint;
BEGIN
    SELECT * INTO STRICT head FROM audit_heads WHERE org_id = org;
    IF NOT EXISTS (
        SELECT FROM audit_segments s
        JOIN audit_log r ON r.org_id = s.org_id AND r.seq = s.last_seq AND r.hash = s.last_hash
        JOIN audit_anchors a ON a.org_id = s.org_id AND a.seq = s.last_seq AND a.hash = s.last_hash
        WHERE s.org_id = org AND s.last_seq = upto AND s.first_seq = head.pruned_seq + 1
          AND s.prev_hash = head.pruned_hash
    ) THEN
        RAISE EXCEPTION 'audit_log has no segment that ends at %', upto USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    PERFORM set_config('planvault.audit_door', 'prune', true);
    DELETE FROM audit_log WHERE org_id = org AND seq > head.pruned_seq AND seq <= upto;
    GET DIAGNOSTICS done = ROW_COUNT;
    PERFORM set_config('planvault.audit_door', '', true);
    DELETE FROM audit_anchors WHERE org_id = org AND seq <= upto;
    -- The head last, as everybody takes it: who erases details holds rows, and will want the head.
    UPDATE audit_heads SET pruned_seq = upto, pruned_hash = (
        SELECT last_hash FROM audit_segments WHERE org_id = org AND last_seq = upto
    ) WHERE org_id = org AND pruned_seq = head.pruned_seq;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'audit_log was pruned by another' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN done;
END
$$;

-- Everything of an organisation that is gone for good.
CREATE FUNCTION audit_log_forget(org uuid) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    done bigint;
BEGIN
    IF EXISTS (SELECT FROM organizations WHERE id = org) THEN
        RAISE EXCEPTION 'the organisation is still there' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    PERFORM set_config('planvault.audit_door', 'prune', true);
    DELETE FROM audit_log WHERE org_id = org;
    GET DIAGNOSTICS done = ROW_COUNT;
    PERFORM set_config('planvault.audit_door', '', true);
    DELETE FROM audit_heads WHERE org_id = org;
    DELETE FROM audit_anchors WHERE org_id = org;
    DELETE FROM audit_segments WHERE org_id = org;
    DELETE FROM audit_signing_keys WHERE org_id = org;
    RETURN done;
END
$$;

SELECT table_verbs('audit_log', 'SELECT, INSERT', 'SELECT, INSERT');
SELECT tenant_table('audit_heads', 'SELECT', 'SELECT');
SELECT tenant_table('audit_signing_keys', 'SELECT, INSERT, UPDATE', 'SELECT, INSERT, UPDATE');
SELECT tenant_table('audit_anchors', 'SELECT', 'SELECT, INSERT');
SELECT tenant_table('audit_segments', 'SELECT', 'SELECT, INSERT');
SELECT sealed_column('audit_signing_keys', 'seed');

SELECT definer_function('audit_log_chain()', '');
SELECT definer_function('audit_log_reseal(uuid, uuid[], bytea[])');
SELECT definer_function('audit_log_erase(uuid, uuid[])');
SELECT definer_function('audit_log_prune(uuid, bigint)', 'planvault_platform');
SELECT definer_function('audit_log_forget(uuid)', 'planvault_platform');
