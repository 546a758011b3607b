-- Rate limits that hold for all API replicas (docs/edge.md).
--
-- A row is a bucket of the generic cell rate algorithm (ITU-T I.371): the moment at which all that was taken from it will
-- have flowed back. It knows no limit, only time, so that a limit may be changed at any moment. `subject` is a digest of
-- whose it is. Not logged: a crash empties the table, which forgives what was taken, and no request waits for a disk.
CREATE UNLOGGED TABLE rate_buckets (
    subject bytea PRIMARY KEY CHECK (length(subject) = 16),
    full_at timestamptz NOT NULL
) WITH (fillfactor = 70);                           -- rows are updated in place: their only index stays as it is

SELECT table_verbs('rate_buckets', '', 'SELECT, UPDATE, DELETE');    -- UPDATE: pruning passes over rows that are held

-- Take `seconds[i]` from each bucket (what a request weighs is its window's length over its quota), and tell how far each
-- is from full. What is given back, a negative number, never makes it fuller than full; debts end after `longest`.
CREATE FUNCTION take_from_buckets(subjects bytea[], seconds double precision[], longest double precision)
RETURNS TABLE (subject bytea, ahead double precision) LANGUAGE sql BEGIN ATOMIC
    INSERT INTO rate_buckets AS bucket (subject, full_at)
    SELECT taken.subject, now() + make_interval(secs => taken.seconds)
    FROM unnest(subjects, seconds) AS taken(subject, seconds)
    ORDER BY taken.subject                          -- one order for everybody: no two wait for each other
    ON CONFLICT (subject) DO UPDATE
    SET full_at = least(greatest(bucket.full_at, now()) + (excluded.full_at - now()),
                        now() + make_interval(secs => longest))
    RETURNING bucket.subject, extract(epoch FROM bucket.full_at - now())::double precision;
END;
SELECT definer_function('take_from_buckets(bytea[], double precision[], double precision)');
