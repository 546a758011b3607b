-- Export and erasure of what is held about a person, a project, an organisation (docs/privacy.md).

-- One request. It stays after its work is done: it is the record that, when and how much was exported or erased.
CREATE TABLE privacy_requests (
    id            uuid PRIMARY KEY,
    org_id        uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    kind          text NOT NULL CHECK (kind IN ('export', 'erasure')),
    target        text NOT NULL CHECK (target IN ('external_user', 'project', 'organization')),
    project_id    uuid,                               -- of target 'project'; no reference: it outlives the project
    subjects      bytea[] NOT NULL DEFAULT '{}',      -- pseudonyms of the external user, one a key of pseudonyms
    voters        bytea[] NOT NULL DEFAULT '{}',      -- the same person as feedback.voter
    detail        bytea NOT NULL,                     -- encrypted {actor, externalUserId}; the id only while it is needed
    state         text NOT NULL DEFAULT 'queued'
                  CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    stage         text NOT NULL DEFAULT '',
    entered_at    timestamptz NOT NULL DEFAULT now(), -- the stage
    counts        jsonb NOT NULL DEFAULT '{}',        -- what was exported or erased so far, by table
    position      jsonb NOT NULL DEFAULT '{}',        -- where a walk of the stage stands
    error         text,                               -- why the last attempt did not go on
    attempts      integer NOT NULL DEFAULT 0,         -- claims: a later one takes over from an earlier
    leased_until  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    finished_at   timestamptz,
    -- Of an export: its file, whose chunks are sealed with the key of `sealed_for` (NULL: the organisation's).
    sealed_for    bytea,
    size          bigint,
    chunks        integer,
    sha256        bytea,
    expires_at    timestamptz,
    CHECK ((target = 'project') = (project_id IS NOT NULL)),
    CHECK ((target = 'external_user') = (cardinality(subjects) > 0))
);
CREATE INDEX privacy_requests_by_org ON privacy_requests (org_id, kind, id DESC);
CREATE INDEX privacy_requests_open ON privacy_requests (created_at) WHERE state IN ('queued', 'running');
CREATE INDEX privacy_requests_to_expire ON privacy_requests (expires_at) WHERE chunks IS NOT NULL;
SELECT tenant_table('privacy_requests');
SELECT sealed_column('privacy_requests', 'detail');

-- The file of an export, sealed chunk by chunk.
CREATE TABLE privacy_export_chunks (
    request_id uuid NOT NULL REFERENCES privacy_requests ON DELETE CASCADE,
    position   integer NOT NULL,
    org_id     uuid NOT NULL,
    payload    bytea NOT NULL,                        -- encrypted
    PRIMARY KEY (request_id, position)
);
ALTER TABLE privacy_export_chunks ALTER COLUMN payload SET STORAGE EXTERNAL;
SELECT tenant_table('privacy_export_chunks');
SELECT sealed_column('privacy_export_chunks', 'payload');

-- Sessions that an erasure has closed off: no event of theirs is accepted any more, whatever a host still remembers.
-- A row stays for longer than any host can go on by itself.
CREATE TABLE erased_sessions (
    session_id uuid PRIMARY KEY,
    org_id     uuid NOT NULL,
    request_id uuid NOT NULL,
    shard      integer NOT NULL,
    fenced_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_sessions_by_request ON erased_sessions (request_id, session_id);
CREATE INDEX erased_sessions_by_age ON erased_sessions (fenced_at);
SELECT tenant_table('erased_sessions');

-- Runs at the end of the append's statement, which holds its shard. Whoever fences commits first and then waits for
-- the shard: an append that began before is then seen and deleted, one that begins later sees the fence here.
CREATE FUNCTION erased_sessions_stay_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM fresh JOIN erased_sessions USING (session_id)) THEN
        RAISE EXCEPTION 'This session was erased' USING ERRCODE = 'PV002';
    END IF;
    RETURN NULL;
END
$$;
SELECT definer_function('erased_sessions_stay_erased()', '');
CREATE TRIGGER erased_sessions_stay_erased AFTER INSERT ON events REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION erased_sessions_stay_erased();
CREATE TRIGGER erased_sessions_stay_erased AFTER INSERT ON event_heads REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION erased_sessions_stay_erased();
CREATE TRIGGER erased_sessions_stay_erased_moved AFTER UPDATE ON event_heads REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION erased_sessions_stay_erased();

-- What the making of sessions and jobs, and of erasures that forbid them, meet at. `who`: a pseudonym, or a project's id.
CREATE FUNCTION erasure_lock(org uuid, who bytea) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN hashtextextended('planvault/erasure/' || org || '/' || encode(who, 'hex'), 0);

-- While a person or a project is erased, nothing new comes about that the erasure would have to find.
CREATE FUNCTION nothing_new_while_erased() RETURNS trigger LANGUAGE plpgsql AS $$
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
    RETURN NEW;
END
$$;
CREATE TRIGGER nothing_new_while_erased BEFORE INSERT ON sessions
    FOR EACH ROW EXECUTE FUNCTION nothing_new_while_erased();
CREATE TRIGGER nothing_new_while_erased BEFORE INSERT ON scheduled_jobs
    FOR EACH ROW EXECUTE FUNCTION nothing_new_while_erased();

-- What an erasure and the pruning by age look for.
CREATE INDEX sessions_by_subject ON sessions (org_id, external_user_hmac) WHERE external_user_hmac IS NOT NULL;
CREATE INDEX sessions_by_age ON sessions (updated_at);
CREATE INDEX scheduled_jobs_by_subject ON scheduled_jobs (org_id, external_user_hmac)
    WHERE external_user_hmac IS NOT NULL;
CREATE INDEX scheduled_jobs_by_session ON scheduled_jobs (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX idempotency_by_org ON idempotency (org_id, project_id, route, key);
