-- The references of 0022_3 are looked at, row by row, while everybody reads and writes; then those that they replace go.
-- It fails, and names the reference, where a row refers to another organisation's: no release has written one.

DO $$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT conrelid::regclass AS child, conname FROM pg_constraint
        WHERE contype = 'f' AND NOT convalidated AND conname LIKE '%\_own' AND connamespace = current_schema()::regnamespace
        ORDER BY 1, 2
    LOOP
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', each.child, each.conname);
    END LOOP;
    FOR each IN
        SELECT old.conrelid::regclass AS child, old.conname FROM pg_constraint AS old
        JOIN pg_constraint AS new ON new.conrelid = old.conrelid AND new.confrelid = old.confrelid
            AND new.contype = 'f' AND new.conname LIKE '%\_own' AND new.conkey[2:] = old.conkey
        WHERE old.contype = 'f' AND cardinality(old.conkey) = 1
          AND old.connamespace = current_schema()::regnamespace
        ORDER BY 1, 2
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.child, each.conname);
    END LOOP;
END
$$;
