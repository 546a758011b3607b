-- Service tokens of an organisation (docs/identity.md): what programs call with, beside people.

CREATE TABLE service_tokens (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name            text NOT NULL,
    role            text NOT NULL CHECK (role IN ('ADMIN', 'DEVELOPER', 'MEMBER')),   -- a machine owns nothing
    token_sha256    bytea NOT NULL UNIQUE CHECK (length(token_sha256) = 32),
    preview         text NOT NULL,                                                  -- last four characters
    created_by      text NOT NULL,                                                  -- an actor's label
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    last_used_at    timestamptz,
    rotated_at      timestamptz,
    retiring_sha256 bytea UNIQUE,                        -- after a rotation the text before it opens …
    retiring_until  timestamptz,                         -- … until then
    revoked_at      timestamptz,
    CHECK ((retiring_sha256 IS NULL) = (retiring_until IS NULL))
);
-- The name stands in the audit log: of those that open anything, no two are alike.
CREATE UNIQUE INDEX service_tokens_name ON service_tokens (org_id, name) WHERE revoked_at IS NULL;
CREATE INDEX service_tokens_by_org ON service_tokens (org_id, id);
SELECT tenant_table('service_tokens', platform => '');

-- The live token with this digest, its text before a rotation included; asked before the organisation is known.
-- `ends_in_s`: seconds until this text ends.
CREATE FUNCTION service_token_of(sha256 bytea) RETURNS TABLE (
    id uuid, org_id uuid, name text, role text, is_stale boolean, ends_at timestamptz, ends_in_s double precision)
LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC
    SELECT found.id, found.org_id, found.name, found.role,
           found.last_used_at IS NULL OR found.last_used_at < now() - interval '1 minute',
           found.ends_at, extract(epoch FROM found.ends_at - now())
    FROM (
        SELECT t.*, t.expires_at AS ends_at FROM service_tokens AS t WHERE t.token_sha256 = sha256
        UNION ALL
        SELECT t.*, least(t.expires_at, t.retiring_until) FROM service_tokens AS t WHERE t.retiring_sha256 = sha256
    ) AS found
    WHERE found.revoked_at IS NULL AND found.ends_at > now() AND organization_is_live(found.org_id);
END;
SELECT definer_function('service_token_of(bytea)');

-- How large organisations are, for whoever runs the installation: numbers, and nothing of what they count.
CREATE FUNCTION organization_sizes(orgs uuid[]) RETURNS TABLE (org_id uuid, owners bigint, members bigint, projects bigint)
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT o.org_id,
           (SELECT count(*) FROM members AS m WHERE m.org_id = o.org_id AND m.role = 'OWNER'),
           (SELECT count(*) FROM members AS m WHERE m.org_id = o.org_id),
           (SELECT count(*) FROM projects AS p WHERE p.org_id = o.org_id AND p.deleted_at IS NULL)
    FROM unnest(orgs) AS o(org_id);
END;
SELECT definer_function('organization_sizes(uuid[])', 'planvault_platform');
