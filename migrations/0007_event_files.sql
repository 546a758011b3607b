-- The file store (PLANVAULT_SESSION_STORE=file): events lie in files, and these rows say which of their bytes count.
-- Empty while events live in the `events` table.

-- Where the events of this database are: fixed for its life, because a session's record is not moved.
CREATE TABLE event_store (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       uuid NOT NULL,                         -- also written into the folder's label
    mode     text NOT NULL CHECK (mode IN ('postgres', 'file'))
);

-- The newest event of a session. Its row is what two appends of one session meet at.
CREATE TABLE event_heads (
    session_id uuid PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
    org_id     uuid NOT NULL,
    seq        bigint NOT NULL,
    epoch      bigint NOT NULL
);

-- One file: what an owner wrote for a session. Behind `bytes` may lie what was never committed.
CREATE TABLE event_segments (
    session_id  uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    epoch       bigint NOT NULL,
    part        integer NOT NULL,
    org_id      uuid NOT NULL,
    shard       integer NOT NULL,
    first_seq   bigint NOT NULL,
    last_seq    bigint NOT NULL,
    snapshot_at bigint,                             -- offset of the newest snapshot in it
    bytes       bigint NOT NULL,
    PRIMARY KEY (session_id, epoch, part)
);
