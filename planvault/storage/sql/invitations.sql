-- Invitations of one organisation ($1). Only `of_token` is asked before the organisation is known.

-- name: of_token
-- Whose invitation a token is.
SELECT id, org_id FROM invitation_of_token($1);

-- name: replace
-- A new invitation of an address ends the one that was open.
UPDATE invitations SET revoked_at = now()
WHERE org_id = $1 AND email = $2 AND accepted_at IS NULL AND revoked_at IS NULL;

-- name: insert
-- An offer that ends $7 seconds from now.
INSERT INTO invitations (org_id, id, email, role, token_sha256, invited_by, expires_at, inviter)
VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8)
RETURNING id, org_id, email, role, invited_by, created_at, expires_at, accepted_at, revoked_at;

-- name: open
-- Those that somebody may still accept, oldest first. What a service token has offered ends with it.
SELECT id, org_id, email, role, invited_by, created_at, expires_at, accepted_at, revoked_at
FROM invitations
WHERE org_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()
  AND NOT (inviter IS NULL AND starts_with(invited_by, 'service:') AND NOT EXISTS (
      SELECT FROM service_tokens AS t
      WHERE t.org_id = $1 AND 'service:' || t.name = invited_by AND t.created_at <= invitations.created_at
        AND t.revoked_at IS NULL AND t.expires_at > now()))
ORDER BY id;

-- name: held
-- One of them, for a change; `is_over` by the database's clock. A token is judged here and not when it is revoked: a
-- replica may believe in it for seconds more, and an ADMIN invited in these would stay.
SELECT id, org_id, email, role, invited_by, created_at, expires_at, accepted_at, revoked_at,
       accepted_at IS NOT NULL OR revoked_at IS NOT NULL OR expires_at <= now()
       OR inviter IS NULL AND starts_with(invited_by, 'service:') AND NOT EXISTS (
           SELECT FROM service_tokens AS t
           WHERE t.org_id = $1 AND 'service:' || t.name = invited_by AND t.created_at <= invitations.created_at
             AND t.revoked_at IS NULL AND t.expires_at > now()) AS is_over
FROM invitations WHERE org_id = $1 AND id = $2
FOR UPDATE;

-- name: revoke
-- Nobody may accept it any more.
UPDATE invitations SET revoked_at = now() WHERE org_id = $1 AND id = $2;

-- name: accept
-- By this person, this once.
UPDATE invitations SET accepted_at = now(), accepted_by = $3 WHERE org_id = $1 AND id = $2;
