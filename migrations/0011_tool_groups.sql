-- What a large catalog is divided into, so that a prompt is compared with groups before it is compared with tools.

-- A row a group. `base` is the group that the tools name (Tool.group), '' the integration's small ones taken together;
-- `part` numbers what it was split into. Nearest groups are found by one scan of an organisation's rows: their number
-- is a tenth of its tools', and the order is by `centroid` and `reach` together, which no vector index knows.
-- Columns of a fixed width and what a scan looks at stand first: what lies behind a text is slower to reach.
CREATE TABLE tool_group_centroids (
    id             uuid PRIMARY KEY,
    org_id         uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    integration_id uuid NOT NULL REFERENCES integrations ON DELETE CASCADE,
    reach          real NOT NULL,                   -- how far its best member is expected to stand above the centroid
    coherence      real NOT NULL,                   -- length of `centroid`: its members' mean cosine to its direction
    base_coherence real NOT NULL,
    part           integer NOT NULL,                -- from 0
    parts          integer NOT NULL,                -- of this base
    size           integer NOT NULL,                -- members, > 0
    base_size      integer NOT NULL,
    routing        text NOT NULL CHECK (routing IN ('centroid', 'best_member')),
    model          text NOT NULL,                   -- that embedded the members
    centroid       vector(384) NOT NULL,            -- mean of the members' L2-normalised embeddings
    base           text NOT NULL,
    name           text NOT NULL,
    members_sha256 bytea NOT NULL,                  -- of all members of the base: what the row was made of
    UNIQUE (integration_id, base, part)
);
-- The vector stays in the row: the scan follows no pointer.
ALTER TABLE tool_group_centroids ALTER COLUMN centroid SET STORAGE PLAIN;
CREATE INDEX tool_group_centroids_by_org ON tool_group_centroids (org_id, integration_id);
CREATE INDEX tool_group_centroids_by_member ON tool_group_centroids (org_id) WHERE routing = 'best_member';

-- Up to which revision of an integration (integration_revision) its groups are known to be right. Where the two differ,
-- or the row is missing (tools from before there were groups), the integration is grouped again.
CREATE TABLE tool_group_progress (
    integration_id uuid PRIMARY KEY REFERENCES integrations ON DELETE CASCADE,
    org_id         uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    revision       bigint NOT NULL,
    rules          integer NOT NULL,                -- by which rules (retrieval.groups.planning.RULES)
    model          text NOT NULL
);
