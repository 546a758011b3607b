-- What pruning needs: of event files, and of scheduled jobs.

-- Which file a row of event_segments speaks of: 0 the one that its owner wrote, else what pruning wrote in its place.
ALTER TABLE event_segments ADD COLUMN revision bigint NOT NULL DEFAULT 0;
CREATE SEQUENCE event_revisions;                    -- never the same twice: no file gets the name of one that is gone

-- Files that count for nothing any more, or not yet: whoever writes one says so here first, so that none is forgotten.
CREATE TABLE event_leftovers (
    session_id uuid NOT NULL,                       -- no reference: files outlive their session's rows
    epoch      bigint NOT NULL,
    part       integer NOT NULL,
    revision   bigint NOT NULL,
    shard      integer NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    doomed     boolean NOT NULL DEFAULT false,      -- it is being removed: it can no longer come to count
    PRIMARY KEY (session_id, epoch, part, revision)
);
CREATE INDEX event_leftovers_by_age ON event_leftovers (since);

CREATE FUNCTION event_file_is_left() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_leftovers (session_id, epoch, part, revision, shard)
    VALUES (OLD.session_id, OLD.epoch, OLD.part, OLD.revision, OLD.shard);
    RETURN NULL;
END
$$;
CREATE TRIGGER event_file_is_left AFTER DELETE ON event_segments
    FOR EACH ROW EXECUTE FUNCTION event_file_is_left();

CREATE INDEX scheduled_occurrences_by_age ON scheduled_occurrences (at);
CREATE INDEX scheduled_jobs_live ON scheduled_jobs (project_id) WHERE state = 'scheduled';
