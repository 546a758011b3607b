-- What was decided, by whom, under which policy. Written by the same statement as the decision's events.
-- Ids are version-7 UUIDs made from the decision, so that a decision has one row however often its append is tried.
CREATE TABLE audit_log (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL,                   -- no foreign keys: a row outlives what it speaks of
    project_id uuid,
    session_id uuid,
    run_id     uuid,
    at         timestamptz NOT NULL,            -- in the clock of whoever decided
    action     text NOT NULL,                   -- models.audit.AuditAction
    details    bytea NOT NULL,                  -- encrypted {actor, …}
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_log_by_org ON audit_log (org_id, id DESC);
CREATE INDEX audit_log_by_action ON audit_log (org_id, action, id DESC);
CREATE INDEX audit_log_by_session ON audit_log (session_id, id DESC) WHERE session_id IS NOT NULL;

-- It only grows.
CREATE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log only grows' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();
