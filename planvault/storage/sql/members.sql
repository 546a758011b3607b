-- People and their places. What is asked before the organisation is known goes through definer functions
-- (migration 0015); everything else works in one organisation ($1).

-- name: is_live
-- Before the organisation is known: whether it is there.
SELECT organization_is_live($1);

-- name: organization_of_project
-- Before the organisation is known: whose project it is.
SELECT organization_of_project($1);

-- name: role_of
-- A person's role, before any transaction of the organisation ($1) is open.
SELECT role_of_member($1, $2);

-- name: organizations_of
-- Where a person belongs.
SELECT id, name, role, joined_at FROM organizations_of_user($1);

-- name: signed_in
-- A person whom an issuer has vouched for, made at first sight.
SELECT id, issuer, subject, email, email_verified, name FROM person_signed_in($1, $2, $3, $4, $5, $6);

-- name: hold
-- Changes of who belongs to an organisation wait for each other. A lock of their own: the organisation's row is held by
-- whoever makes its first key, which the audit row of such a change may wait for.
SELECT pg_advisory_xact_lock(hashtextextended('planvault/members/' || $1::uuid::text, 0));

-- name: owners
-- How many there are.
SELECT count(*) FROM members WHERE org_id = $1 AND role = 'OWNER';

-- name: member
-- One of them.
SELECT m.user_id, u.email, u.name, m.role, m.joined_at, u.last_seen_at
FROM members AS m JOIN users AS u ON u.id = m.user_id
WHERE m.org_id = $1 AND m.user_id = $2;

-- name: page
-- After $2 (NULL: from the beginning), by id, which is by when they were first seen.
SELECT m.user_id, u.email, u.name, m.role, m.joined_at, u.last_seen_at
FROM members AS m JOIN users AS u ON u.id = m.user_id
WHERE m.org_id = $1 AND ($2::uuid IS NULL OR m.user_id > $2)
ORDER BY m.user_id
LIMIT $3;

-- name: set_role
-- Of one who is a member.
UPDATE members SET role = $3 WHERE org_id = $1 AND user_id = $2;

-- name: remove
-- For good; an invitation brings them back.
DELETE FROM members WHERE org_id = $1 AND user_id = $2;

-- name: end_invitations
-- What a person ($2) has offered and may offer no more: roles other than $3.
UPDATE invitations SET revoked_at = now()
WHERE org_id = $1 AND inviter = $2 AND accepted_at IS NULL AND revoked_at IS NULL AND NOT role = ANY ($3::text[]);

-- name: role_now
-- A person's role, as it is while `hold` holds.
SELECT role FROM members WHERE org_id = $1 AND user_id = $2;

-- name: join
-- A new place; one who has a place keeps it.
INSERT INTO members (org_id, user_id, role) VALUES ($1, $2, $3) ON CONFLICT (org_id, user_id) DO NOTHING
RETURNING user_id;

-- name: by_address
-- The member with this address, as their issuer tells it.
SELECT m.user_id FROM members AS m JOIN users AS u ON u.id = m.user_id
WHERE m.org_id = $1 AND u.email = $2 AND u.email_verified
LIMIT 1;

-- name: known_here
-- Somebody ($2) who is, or was, a member.
SELECT id, issuer, subject, email, email_verified, name FROM person_known_here($1, $2);

-- name: addresses
-- Those by which the person ($2) was invited.
SELECT DISTINCT email FROM invitations WHERE org_id = $1 AND accepted_by = $2 ORDER BY email;
