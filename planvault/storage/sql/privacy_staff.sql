-- What an organisation ($1) holds of a person of its staff.

-- name: delete_invitations
-- Of the person, by users.id as bytes ($2) and by address ($3).
WITH gone AS (
    DELETE FROM invitations WHERE org_id = $1 AND (uuid_send(accepted_by) = ANY ($2::bytea[]) OR email = ANY ($3::text[]))
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: blank_invited_by
-- Where the person invited others; also as whom a key's holder named, `NAME (key:…)`.
WITH changed AS (
    UPDATE invitations SET invited_by = $3
    WHERE org_id = $1 AND EXISTS (
        SELECT FROM unnest($2::text[]) AS n WHERE invited_by = n OR starts_with(invited_by, n || ' ('))
    RETURNING 1)
SELECT count(*) FROM changed;

-- name: blank_tokens
-- Where the person made them.
WITH changed AS (
    UPDATE service_tokens SET created_by = $3
    WHERE org_id = $1 AND EXISTS (
        SELECT FROM unnest($2::text[]) AS n WHERE created_by = n OR starts_with(created_by, n || ' ('))
    RETURNING 1)
SELECT count(*) FROM changed;

-- name: authors
-- Scenarios that people of the staff made.
SELECT id, created_by FROM scenarios WHERE org_id = $1 AND octet_length(created_by) > 0 ORDER BY id FOR UPDATE;

-- name: blank_author
UPDATE scenarios SET created_by = $3 WHERE org_id = $1 AND id = $2;

-- name: delete_user
-- Platform: the person themselves ($1, users.id), unless another organisation has them among its people.
SELECT person_goes($1);
