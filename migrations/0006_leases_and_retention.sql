-- Duties of which there may be one, hosts that leave together, and what pruning must know.

-- Who does what there may be only one of: a cluster's supervisor, the pruning of a database. `rank` orders claimants: a
-- later deployment's takes over at once, any other only when the holder's time has run out.
CREATE TABLE actor_leases (
    name       text PRIMARY KEY,
    holder     text NOT NULL,
    rank       text NOT NULL,                       -- ids of deployments, in order of time
    epoch      bigint NOT NULL DEFAULT 1,           -- raised whenever the holder changes
    expires_at timestamptz NOT NULL
);

-- Which Ray cluster a host belongs to: two may share this database while one replaces the other.
ALTER TABLE hosts ADD COLUMN cluster_id text NOT NULL DEFAULT '';

-- A cluster whose hosts shall give their shards back. It has an end, so that a stop that was broken off harms nobody.
CREATE TABLE cluster_drains (
    cluster_id text PRIMARY KEY,
    until      timestamptz NOT NULL
);

-- Whether the journal of an ended run was pruned.
ALTER TABLE runs ADD COLUMN pruned boolean NOT NULL DEFAULT false;
CREATE INDEX runs_to_prune ON runs (updated_at) WHERE NOT is_open AND NOT pruned;

-- How far a session's engine events are gone: pruning goes on there instead of reading the history again.
CREATE TABLE pruned_journals (
    session_id uuid PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
    org_id     uuid NOT NULL,
    below      bigint NOT NULL                      -- events.seq
);

CREATE INDEX commands_consumed ON commands (consumed_at) WHERE consumed_at IS NOT NULL;
