-- What an erased person was shown stays known as such, and an answer that is kept is one's own (docs/access.md,
-- docs/tenancy.md).

-- With their row the id went that said a person had been shown the text: a service token of theirs, and a key that was made
-- through it, then looked like ones of nobody. The id stays, and names nobody any more (docs/privacy.md).
ALTER TABLE service_tokens
    DROP CONSTRAINT service_tokens_maker_user_fkey,
    DROP CONSTRAINT service_tokens_retiring_user_fkey;
ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_maker_user_fkey,
    DROP CONSTRAINT api_keys_retiring_user_fkey;

-- The key of the table does not hold the organisation: a row of one's own under another's project would stand in the way of
-- the answer that is kept there.
CREATE FUNCTION answer_is_ones_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.project_id <> NEW.org_id
        AND NOT EXISTS (SELECT FROM projects p WHERE p.id = NEW.project_id AND p.org_id = NEW.org_id) THEN
        RAISE EXCEPTION 'there is no such project in this organisation' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER answer_is_ones_own BEFORE INSERT OR UPDATE OF project_id, org_id ON idempotency
    FOR EACH ROW EXECUTE FUNCTION answer_is_ones_own();
