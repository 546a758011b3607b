-- People, their places in organisations, invitations; quota, expiry and rotation of project keys (docs/access.md).

-- A person, as their issuer names them. Of no organisation: an organisation sees those who are its members.
CREATE TABLE users (
    id             uuid PRIMARY KEY,
    issuer         text NOT NULL,
    subject        text NOT NULL,
    email          text NOT NULL DEFAULT '',         -- lower case
    email_verified boolean NOT NULL DEFAULT false,
    name           text NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT now(),
    last_seen_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (issuer, subject)
);

CREATE TABLE members (
    org_id    uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    user_id   uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    role      text NOT NULL CHECK (role IN ('OWNER', 'ADMIN', 'DEVELOPER', 'MEMBER')),
    joined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX members_by_user ON members (user_id);
SELECT tenant_table('members', platform => '');

SELECT table_verbs('users', 'SELECT', '');          -- written by person_signed_in alone
ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON users FOR SELECT TO planvault_app
    USING (EXISTS (SELECT FROM members WHERE members.user_id = users.id AND members.org_id = (SELECT tenant_scope())));
CREATE POLICY platform ON users TO planvault_platform USING (true) WITH CHECK (true);   -- the owner's, as a member: its functions

-- An offer of a place, for one address. Whoever signs in with that address, verified, and holds the token may take it.
CREATE TABLE invitations (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    email        text NOT NULL,                      -- lower case
    role         text NOT NULL CHECK (role IN ('OWNER', 'ADMIN', 'DEVELOPER', 'MEMBER')),
    token_sha256 bytea NOT NULL UNIQUE,
    invited_by   text NOT NULL,                      -- an actor's label
    inviter      uuid REFERENCES users ON DELETE SET NULL,    -- the person, whose right to invite it ends with
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    accepted_at  timestamptz,
    accepted_by  uuid REFERENCES users ON DELETE SET NULL,
    revoked_at   timestamptz
);
CREATE UNIQUE INDEX invitations_one_open ON invitations (org_id, email)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
SELECT tenant_table('invitations', platform => '');

-- A deleted project is gone for everybody; what it held waits for an erasure (docs/privacy.md).
ALTER TABLE projects ADD COLUMN deleted_at timestamptz;

-- The platform's word on how many scoped keys a project of the organisation may have; its primary key is beside them.
ALTER TABLE organizations ADD COLUMN keys_per_project integer NOT NULL DEFAULT 50
    CHECK (keys_per_project BETWEEN 0 AND 10000);

-- After a rotation the text before it still opens until `retiring_until`.
ALTER TABLE api_keys
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN rotated_at timestamptz,
    ADD COLUMN retiring_sha256 bytea UNIQUE,
    ADD COLUMN retiring_until timestamptz,
    ADD CHECK ((retiring_sha256 IS NULL) = (retiring_until IS NULL));

-- ── asked before the organisation is known ──────────────────────────────────────────────────────────────────────────

-- Whether credentials of the organisation open anything. The one place that says so: what stops an organisation
-- without removing it changes this function.
CREATE FUNCTION organization_is_live(org uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN EXISTS (SELECT FROM organizations WHERE id = org);
SELECT definer_function('organization_is_live(uuid)');

-- As in 0014, but of those that are live: nobody is let in, or called back, where an organisation is stopped.
CREATE OR REPLACE FUNCTION organization_of_project(project uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT org_id FROM projects WHERE id = project AND deleted_at IS NULL AND organization_is_live(org_id));
SELECT definer_function('organization_of_project(uuid)');

CREATE FUNCTION role_of_member(org uuid, member uuid) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT role FROM members WHERE org_id = org AND user_id = member AND organization_is_live(org_id));
SELECT definer_function('role_of_member(uuid, uuid)');

-- Where a person belongs: what they see first after signing in.
CREATE FUNCTION organizations_of_user(member uuid) RETURNS TABLE (id uuid, name text, role text, joined_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC
    SELECT o.id, o.name, m.role, m.joined_at FROM members AS m JOIN organizations AS o ON o.id = m.org_id
    WHERE m.user_id = member AND organization_is_live(o.id) ORDER BY m.joined_at, o.id;
END;
SELECT definer_function('organizations_of_user(uuid)');

CREATE FUNCTION invitation_of_token(sha256 bytea) RETURNS TABLE (id uuid, org_id uuid)
LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC
    SELECT i.id, i.org_id FROM invitations AS i WHERE i.token_sha256 = sha256 AND organization_is_live(i.org_id);
END;
SELECT definer_function('invitation_of_token(bytea)');

-- The person as they are now. Their row is written once a minute at most, unless the issuer says something new.
CREATE FUNCTION person_signed_in(
    new_id uuid, from_issuer text, as_subject text, told_email text, told_verified boolean, told_name text
) RETURNS SETOF users LANGUAGE sql VOLATILE BEGIN ATOMIC
    INSERT INTO users AS known (id, issuer, subject, email, email_verified, name)
    VALUES (new_id, from_issuer, as_subject, told_email, told_verified, told_name)
    ON CONFLICT (issuer, subject) DO UPDATE
        SET email = told_email, email_verified = told_verified, name = told_name, last_seen_at = now()
        WHERE (known.email, known.email_verified, known.name) IS DISTINCT FROM (told_email, told_verified, told_name)
           OR known.last_seen_at < now() - interval '1 minute';
    SELECT * FROM users WHERE issuer = from_issuer AND subject = as_subject;
END;
SELECT definer_function('person_signed_in(uuid, text, text, text, boolean, text)');

-- The live key with this digest, its text before a rotation included. `ends_in_s`: seconds until this text ends.
CREATE FUNCTION project_key_of(sha256 bytea) RETURNS TABLE (
    id uuid, org_id uuid, project_id uuid, name text, scopes text[], is_stale boolean, ends_at timestamptz,
    ends_in_s double precision)
LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC
    SELECT found.id, found.org_id, found.project_id, found.name, found.scopes,
           found.last_used_at IS NULL OR found.last_used_at < now() - interval '1 minute',
           found.ends_at, extract(epoch FROM found.ends_at - now())
    FROM (
        SELECT k.*, k.expires_at AS ends_at FROM api_keys AS k WHERE k.key_sha256 = sha256
        UNION ALL
        SELECT k.*, least(k.expires_at, k.retiring_until) FROM api_keys AS k WHERE k.retiring_sha256 = sha256
    ) AS found
    WHERE found.revoked_at IS NULL AND (found.ends_at IS NULL OR found.ends_at > now())
      AND organization_is_live(found.org_id)
      AND EXISTS (SELECT FROM projects AS p WHERE p.id = found.project_id AND p.deleted_at IS NULL);
END;
SELECT definer_function('project_key_of(bytea)');
